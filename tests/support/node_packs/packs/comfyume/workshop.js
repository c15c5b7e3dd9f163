window.taken = "comfyume";
