"""Settings of the rehearsal engine, read from REHEARSAL_* once at start."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.service_settings import ServiceSettings


class RehearsalSettings(ServiceSettings):
    """What can be set about one rehearsal engine."""

    model_config = SettingsConfigDict(env_prefix="REHEARSAL_", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8190, ge=0, le=65535, description="Port to listen on; 0 takes a free one and prints it.")
    data_dir: Path = Field(Path("rehearsal-data"), description="Folder for input/, output/ and temp/.")
    models_dir: Path | None = Field(
        None,
        description="Folder with one subfolder a model kind; its files are offered beside the templates' own models.",
    )
    web_dir: Path | None = Field(
        None, description="Folder with one subfolder a node pack, whose scripts the page is to load."
    )
    step_seconds: float = Field(0.05, ge=0, description="Time one sampling step takes.")
    load_seconds: float = Field(0.5, ge=0, description="Time a model takes to load the first time.")
    preview_method: Literal["none", "auto"] = Field(
        "auto", description="Whether samplers send previews to a prompt that does not ask for a method itself."
    )
    fault_nodes: bool = Field(False, description="Offer the nodes that fail on purpose, for tests.")
    max_upload_bytes: int = Field(100 * 1024 * 1024, gt=0, description="Largest request body, as in ComfyUI: 100 MiB.")
    history_length: int = Field(10_000, gt=0, description="Finished prompts to remember, as in ComfyUI.")
