"""Actor of Ray that keeps one program of a host running on its machine.

Ray decides where that is, and starts the actor again elsewhere when the machine dies. Nothing
of a jam passes through it.
"""

from __future__ import annotations

import json
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from robojam.cluster.connect import load
from robojam.cluster.models import SentModel, receive
from robojam.model import file as model_file
from robojam.system.child_process import ChildProcess

_PROGRAM: Final = "robojam.cluster.room_program"
#: Seconds between two starts of the program.
_PAUSE: Final = 1.0


class RoomActor:
    """Keeper of a program for a room, in one process of a cluster."""

    def __init__(self, given: dict[str, Any], model: tuple[str, str, Any]) -> None:
        """Start the program for the host that is given; model is name, hash and reference."""
        self._given, self._model = given, model
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        """Run the program again and again."""
        ray = load()
        node = ray.get_runtime_context().get_node_id()
        host = ray.util.get_node_ip_address()
        while True:
            folder = Path(tempfile.mkdtemp(prefix="robojam-room-"))
            about = {
                "node": node, "name": f"{platform.node()} ({host}, {node[:6]})", "host": host,
                "folder": str(folder), "model": str(self._find_model(folder)),
            }  # fmt: skip
            first_line = json.dumps(self._given | about).encode()
            ChildProcess(_PROGRAM, first_line=first_line).wait()
            time.sleep(_PAUSE)

    def _find_model(self, folder: Path) -> Path:
        """Return the file of the model here: robojam's own, or one that is written."""
        name, sha256, data = self._model
        path = model_file.folder() / name
        try:
            if model_file.read(path).sha256 == sha256:
                return path
        except model_file.ModelFileError:  # it is not here
            pass
        sent = SentModel(name, sha256, load().get(data))
        receive(sent)  # it is what was sent
        path = folder / "models" / name
        path.parent.mkdir()
        path.write_bytes(sent.data)
        return path
