"""From the window's QR code to the pad: an engine, a display, a reader of codes, a browser."""

import shutil
import subprocess
from pathlib import Path

import pytest
from support.display import display, wait_for
from support.engine import MODEL, PATIENCE, Client, command, stop
from support.web import serving_web

MISSING = [tool for tool in ("Xvfb", "xdotool", "import") if shutil.which(tool) is None]


@pytest.mark.peer
@pytest.mark.skipif(not MODEL.exists(), reason="no default model here")
@pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}")
def test_code_in_a_screenshot_of_the_window_leads_to_a_pad_that_plays(browser, tmp_path):
    reader = pytest.importorskip("zxingcpp", reason="needs zxing-cpp to read a QR code")
    import pygame

    shot, found = tmp_path / "shot.png", []

    def scan() -> bool:
        subprocess.run(["import", "-window", "root", str(shot)], env=environment, check=True)
        picture = pygame.surfarray.array3d(pygame.image.load(shot)).swapaxes(0, 1).copy()
        found[:] = [code.text for code in reader.read_barcodes(picture)]
        return bool(found)

    with (
        serving_web(tmp_path, "--threshold", "60") as (engine, url),
        display("900x700") as environment,
    ):
        window = subprocess.Popen(
            command("window", "--engine", f"127.0.0.1:{engine.address[1]}", "--size",
                    "800x600"),
            env=environment, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        watching = Client(engine.address)
        try:
            watching.ask(lambda status: status["monitors"] >= 1)
            for arguments in (("mousemove", "400", "300"), ("key", "w")):
                subprocess.run(
                    ["xdotool", *arguments], env=environment, check=True, timeout=PATIENCE
                )
            wait_for(scan)
            assert found == [url]
            page = browser.open(found[0])
            page.wait_for("document.body.dataset.link === 'open'")
            page.touch("touchStart", (200, 400, 0))
            watching.ask(lambda status: status["fingers"] == 1)
            page.close()
            watching.ask(lambda status: status["fingers"] == 0)
        finally:
            watching.close()
            stop(window)
