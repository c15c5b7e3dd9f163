window.taken = "core";
