import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from pydantic import SecretStr

from embedding_assets.alerts import Alert, send
from embedding_assets.settings import AlertSettings
from embedding_assets_tests.alerts.inboxes import mail_server, webhook_server

ALERT = Alert("run_failed", "Run of records failed", "The disk is full.", {"run_id": "7"})
PASSWORD = "swordfish-and-more"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("embedding_assets.alerts.sending._PAUSE_SECONDS", 0.0)


@pytest.fixture
def box():
    with mail_server() as made:
        yield made


@pytest.fixture
def hook():
    with webhook_server() as made:
        yield made


def mailing(box, **more):
    plain = {"smtp_security": "none", "smtp_host": "127.0.0.1", "email_to": ("a@x.org", "b@x.org")}
    return AlertSettings(**{**plain, "smtp_port": box.port, **more})


def posting(hook, **more):
    return AlertSettings(webhook_url=SecretStr(hook.url), **more)


def states(alert, settings, data_dir=None):
    return {each.way: each.state for each in send(alert, settings, data_dir)}


def reason(way, settings):
    [found] = [each for each in send(ALERT, settings) if each.way == way]
    assert found.state == "failed"
    return found.reason


def test_without_any_way_it_stands_in_the_log(capsys):
    made = states(ALERT, AlertSettings())
    assert made == {"log": "delivered", "webhook": "not set up", "email": "not set up"}
    line = capsys.readouterr().out
    assert "Run of records failed" in line and "run_failed" in line and "The disk is full." in line


def test_the_webhook_gets_all_of_it_as_json(hook):
    assert states(ALERT, posting(hook))["webhook"] == "delivered"
    [body] = hook.received
    assert body["kind"] == "run_failed" and body["severity"] == "error"
    assert body["title"] == "Run of records failed"
    assert body["text"] == "Run of records failed\nThe disk is full."
    assert body["facts"] == {"run_id": "7"}
    assert datetime.fromisoformat(body["at"]).tzinfo


def test_an_e_mail_goes_to_everybody_in_the_list(box):
    assert states(ALERT, mailing(box, email_from="bot@x.org"))["email"] == "delivered"
    [message] = box.messages
    assert message["Subject"] == "[embedding_assets] error: Run of records failed"
    assert message["From"] == "bot@x.org" and message["To"] == "a@x.org, b@x.org"
    assert message["Date"] and message["Message-ID"]
    assert message.get_content().splitlines()[:3] == ["The disk is full.", "", "run_id: 7"]
    assert [line for line in box.commands if line.startswith("rcpt")] == [
        "rcpt TO:<a@x.org>", "rcpt TO:<b@x.org>",
    ]  # fmt: skip


def test_letters_of_any_alphabet_arrive(box, hook):
    alert = Alert("x", "Größe überschritten – 数", "Ein Satz mit ß und 数据 und \ud800.")
    assert states(alert, mailing(box, webhook_url=SecretStr(hook.url)))["webhook"] == "delivered"
    assert hook.received[0]["title"] == "Größe überschritten – 数"
    assert "Größe überschritten – 数" in box.messages[0]["Subject"]


def test_a_title_cannot_add_a_header(box):
    states(Alert("x", "a\r\nBcc: c@x.org", "text"), mailing(box))
    assert box.messages[0]["Bcc"] is None and "c@x.org" in box.messages[0]["Subject"]


def test_a_login_is_sent_before_the_mail(box):
    settings = mailing(box, smtp_user="bot", smtp_password=SecretStr(PASSWORD))
    assert states(ALERT, settings)["email"] == "delivered"
    assert box.logins == [("bot", PASSWORD)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody else vouches for, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_with_starttls_login_and_mail_are_encrypted(tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(tls) as box:
        settings = mailing(box, smtp_security="starttls", smtp_user="bot",
                           smtp_password=SecretStr(PASSWORD))  # fmt: skip
        assert states(ALERT, settings)["email"] == "delivered"
        assert box.encrypted == [True] and box.logins == [("bot", PASSWORD)]


def test_a_certificate_that_nobody_vouches_for_gets_no_password(tls):
    with mail_server(tls) as box:
        settings = mailing(box, smtp_security="starttls", smtp_user="bot",
                           smtp_password=SecretStr(PASSWORD))  # fmt: skip
        assert "certificate" in reason("email", settings)
        assert not box.logins and not box.messages


def test_a_server_without_starttls_gets_nothing_in_the_clear(box):
    assert "STARTTLS" in reason("email", mailing(box, smtp_security="starttls"))
    assert not box.messages


def test_a_password_does_not_leave_this_machine_in_the_clear():
    settings = AlertSettings(smtp_host="mail.example.com", smtp_security="none", smtp_user="bot",
                             smtp_password=SecretStr(PASSWORD), email_to=("a@x.org",))  # fmt: skip
    assert "in the clear" in reason("email", settings)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_may_pass_is_tried_once_more(hook, status):
    hook.statuses = [status]
    assert states(ALERT, posting(hook))["webhook"] == "delivered"
    assert hook.tries == 2 and len(hook.received) == 1


def test_a_webhook_that_stays_broken_is_tried_twice_and_told_of(hook, capsys):
    hook.statuses = [500, 500, 500]
    assert "answered 500" in reason("webhook", posting(hook))
    assert hook.tries == 2
    assert "alert_not_delivered" in capsys.readouterr().out


@pytest.mark.parametrize("status", [400, 404, 302, 307])
def test_what_will_not_pass_is_not_tried_again_nor_sent_elsewhere(hook, status):
    hook.statuses = [status]
    assert f"answered {status}" in reason("webhook", posting(hook))
    assert hook.tries == 1 and not hook.received


@pytest.mark.parametrize("url", ["file:///etc/passwd", "no url", "http://[::1", "http://a b/"])
def test_a_url_that_is_none_is_told_of(url):
    assert reason("webhook", AlertSettings(webhook_url=SecretStr(url)))


def test_a_mail_server_that_is_busy_is_tried_once_more(box):
    box.answers["MAIL"] = ["451 try later"]
    assert states(ALERT, mailing(box))["email"] == "delivered"
    assert len(box.messages) == 1


@pytest.mark.parametrize(
    ("command", "answer"), [("MAIL", "550 no"), ("AUTH", "535 no"), ("DATA", "554 no")]
)
def test_a_mail_server_that_refuses_is_told_of_and_not_asked_again(box, command, answer):
    box.answers[command] = [answer, answer]
    settings = mailing(box, smtp_user="bot", smtp_password=SecretStr(PASSWORD))
    assert answer[:3] in reason("email", settings)
    assert len(box.answers[command]) == 1 and not box.messages


def test_one_refused_address_is_told_of_and_the_others_get_it_once(box, tmp_path, capsys):
    box.answers["RCPT"] = ["550 unknown"]
    [found] = [each for each in send(ALERT, mailing(box), tmp_path) if each.way == "email"]
    assert (found.state, found.reason) == ("delivered", "127.0.0.1 refused a@x.org")
    assert "alert_not_to_all" in capsys.readouterr().out
    assert states(ALERT, mailing(box), tmp_path)["email"] == "told before"
    assert len(box.messages) == 1


@pytest.mark.parametrize("farewell", ["421 timeout", "500 what", "hang"])
def test_a_mail_that_was_taken_is_delivered_however_the_server_parts(box, farewell):
    box.answers["QUIT"] = [farewell, farewell]
    assert states(ALERT, mailing(box, timeout_seconds=1))["email"] == "delivered"
    assert len(box.messages) == 1


def test_where_every_address_is_refused_it_is_not_delivered(box):
    box.answers["RCPT"] = ["550 unknown", "550 unknown"]
    assert "a@x.org, b@x.org" in reason("email", mailing(box))


def test_what_does_not_answer_is_given_up(box, hook):
    hook.hangs = True
    box.answers["EHLO"] = ["hang", "hang"]
    settings = mailing(box, webhook_url=SecretStr(hook.url), timeout_seconds=0.2)
    made = send(ALERT, settings)
    assert [each.state for each in made] == ["delivered", "failed", "failed"]


def test_nobody_at_the_port_is_told_of(capsys):
    settings = AlertSettings(webhook_url=SecretStr("http://127.0.0.1:9/"), smtp_port=9,
                             smtp_host="127.0.0.1", email_to=("a@x.org",))  # fmt: skip
    made = send(ALERT, settings)
    assert [each.state for each in made] == ["delivered", "failed", "failed"]
    assert capsys.readouterr().out.count("alert_not_delivered") == 2


def test_one_broken_way_does_not_keep_the_other_from_its_alert(box):
    settings = mailing(box, webhook_url=SecretStr("http://127.0.0.1:9/"))
    assert states(ALERT, settings) == {
        "log": "delivered", "webhook": "failed", "email": "delivered",
    }  # fmt: skip


def test_neither_alert_nor_log_names_the_secrets_of_the_ways(box, hook, capsys):
    url = hook.url.replace("/alerts", "/T0P/S3CR3T")
    text = f"could not log in with {PASSWORD} at {url}"
    settings = mailing(box, webhook_url=SecretStr(url), smtp_user="bot",
                       smtp_password=SecretStr(PASSWORD))  # fmt: skip
    box.answers["DATA"] = [f"554 {PASSWORD} is no password"]
    made = send(Alert("x", "t", text, {"said": text}), settings)
    seen = repr((made, hook.received, [str(each) for each in box.messages]))
    seen += capsys.readouterr().out
    assert PASSWORD not in seen and "S3CR3T" not in seen


def test_a_url_with_a_password_is_refused_and_not_shown(capsys):
    url = "http://alerts:s3cretpw@127.0.0.1/hook/of-this-team?key=1234567890"
    settings = AlertSettings(webhook_url=SecretStr(url))
    assert reason("webhook", settings) == "alerts.webhook_url is no usable URL"
    text = "s3cretpw, alerts:s3cretpw@, POST /hook/of-this-team, 1234567890"
    send(Alert("x", "t", text), settings)
    shown = capsys.readouterr().out
    assert not any(part in shown for part in ("s3cretpw", "of-this-team", "1234567890"))


def test_a_thing_that_flaps_is_told_once_and_logged_each_time(hook, tmp_path, capsys):
    settings = posting(hook)
    made = [states(ALERT, settings, tmp_path)["webhook"] for _ in range(5)]
    assert made == ["delivered", *["told before"] * 4]
    assert len(hook.received) == 1
    assert capsys.readouterr().out.count("The disk is full.") == 5


def test_an_alert_that_reached_nobody_is_not_taken_as_told(hook, tmp_path):
    hook.statuses = [404]
    assert states(ALERT, posting(hook), tmp_path)["webhook"] == "failed"
    assert states(ALERT, posting(hook), tmp_path)["webhook"] == "delivered"


def test_what_one_way_did_not_deliver_is_sent_by_that_way_alone(box, hook, tmp_path):
    box.answers["MAIL"] = ["451 later", "451 later"]
    settings = mailing(box, webhook_url=SecretStr(hook.url))
    made = [states(ALERT, settings, tmp_path) for _ in range(3)]
    assert [each["webhook"] for each in made] == ["delivered", "told before", "told before"]
    assert [each["email"] for each in made] == ["failed", "delivered", "told before"]
    assert len(box.messages) == len(hook.received) == 1


def test_a_way_that_never_works_does_not_use_up_the_tries_of_the_other(hook, tmp_path):
    settings = posting(hook, most_an_hour=3, smtp_host="127.0.0.1", smtp_port=9,
                       email_to=("a@x.org",))  # fmt: skip
    for _ in range(4):
        made = states(ALERT, settings, tmp_path)
    assert made["email"] == "held back"
    assert states(Alert("x", "another thing", ""), settings, tmp_path)["webhook"] == "delivered"


def test_only_the_ways_that_are_asked_for_are_tried(box, hook):
    made = send(ALERT, mailing(box, webhook_url=SecretStr(hook.url)), only=["email"])
    assert [each.way for each in made] == ["log", "email"]
    assert len(box.messages) == 1 and not hook.received


def test_the_next_one_says_how_many_were_held_back(hook, tmp_path, monkeypatch):
    clock = iter(range(1_000_000, 9_000_000, 1_000))
    monkeypatch.setattr("embedding_assets.alerts.memory.time.time", lambda: next(clock))
    made = [states(ALERT, posting(hook), tmp_path)["webhook"] for _ in range(6)]
    assert made.count("delivered") == 2
    assert [each["facts"].get("held_back_before") for each in hook.received] == [None, 3]


def test_no_more_than_the_most_go_out_in_an_hour(hook, tmp_path):
    alerts = [Alert("x", f"thing {number}", "") for number in range(6)]
    made = [states(each, posting(hook, most_an_hour=3), tmp_path)["webhook"] for each in alerts]
    assert made == ["delivered"] * 3 + ["held back"] * 3


def test_a_webhook_that_acts_and_does_not_answer_acts_no_more_than_the_most_in_an_hour(
    hook, tmp_path
):
    hook.hangs = True
    settings = posting(hook, most_an_hour=2, timeout_seconds=0.2)
    made = [states(ALERT, settings, tmp_path)["webhook"] for _ in range(4)]
    assert made == ["failed"] * 2 + ["held back"] * 2


def test_a_damaged_memory_is_begun_anew(hook, tmp_path):
    of_webhook = ('{"told": {"a": 1}, "sent": []}', '{"told": {}, "sent": ["x"]}')
    older = ('{"told": {"a": {"at": 1, "held": 0, "seen": 1}}, "sent": [1]}', *of_webhook)
    damaged = ("{", "[]", *(f'{{"webhook": {each}}}' for each in of_webhook))
    for content in (*damaged, *older):
        (tmp_path / "alerts.json").write_text(content)
        assert states(ALERT, posting(hook), tmp_path)["webhook"] == "delivered"


def test_where_nothing_can_be_remembered_everything_is_sent(hook, tmp_path):
    (tmp_path / "locks").write_text("no folder")
    made = [states(ALERT, posting(hook), tmp_path)["webhook"] for _ in range(2)]
    assert made == ["delivered", "delivered"]


def test_it_never_raises(monkeypatch):
    def broken(*_):
        raise OSError("the log is gone")

    monkeypatch.setattr("embedding_assets.alerts.sending._send", broken)
    assert send(ALERT, AlertSettings())[0].reason == "the log is gone"
