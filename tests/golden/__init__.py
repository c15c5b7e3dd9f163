"""Golden recordings of the real ComfyUI, and what makes and replays them."""
