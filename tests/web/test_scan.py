"""From the window's QR code to the pad: a real display, a reader of codes, a browser."""

import json
import shutil
import subprocess

import pytest
from support.display import display, wait_for, window_program

MISSING = [tool for tool in ("Xvfb", "xdotool", "import") if shutil.which(tool) is None]


@pytest.mark.peer
@pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}")
def test_code_in_a_screenshot_of_the_window_leads_to_a_pad_that_plays(
    browser, server, tmp_path
):
    reader = pytest.importorskip("zxingcpp", reason="needs zxing-cpp to read a QR code")
    import pygame

    shot, found = tmp_path / "shot.png", []

    def scan() -> bool:
        window.report(turn="human", web={"url": server.url, "connections": 0})
        subprocess.run(["import", "-window", "root", str(shot)], env=environment, check=True)
        picture = pygame.surfarray.array3d(pygame.image.load(shot)).swapaxes(0, 1).copy()
        found[:] = [code.text for code in reader.read_barcodes(picture)]
        return bool(found)

    with (
        display("900x700") as environment,
        window_program(environment, "--size", "800x600") as window,
    ):
        window.report(turn="human")
        window.focus()
        window.keys("w")
        message = window.sent()
        while message.tags != "ss":  # it asks for the setup, too
            message = window.sent()
        assert (message.args[0], json.loads(message.args[1])) == ("web", "8080")
        wait_for(scan)
    page = browser.open(found[0])
    page.wait_for("document.body.dataset.link === 'open'")
    page.touch("touchStart", (200, 400, 0))
    server.wait_for(lambda: [event[0] for _, event in server.events()] == ["d"])
    page.close()
