"""Word to people that something is wrong: in the log always, by webhook and e-mail where they are
set up."""

from embedding_assets.alerts.alert import Alert, Severity
from embedding_assets.alerts.sending import Delivery, Way, send, set_up

__all__ = ["Alert", "Delivery", "Severity", "Way", "send", "set_up"]
