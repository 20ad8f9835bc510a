// The chosen colours, before anything is painted: a module would come too late and flash.
(function () {
  "use strict";
  try {
    const chosen = localStorage.getItem("embedding-assets.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage is switched off: the system's colours stay.
  }
})();
