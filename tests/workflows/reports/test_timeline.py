from __future__ import annotations

import re

from workflows.reports.timeline import MAX_PLACES, Strip, Timeline, strip_svg, timelines


def rectangles(svg: str) -> list[tuple[str, float, float]]:
    found = re.findall(r'<rect class="h(\d+)" x="([0-9.]+)" width="([0-9.]+)"', svg)
    return [(level, float(x), float(width)) for level, x, width in found]


def test_windows_that_look_alike_are_one_rectangle_and_silence_is_none() -> None:
    strip = Strip("dog", [0.0, 7.5, 15.5, 23.5], [0.9, 0.92, 0.0, 0.5])
    svg = strip_svg(strip, Timeline("/a.wav", None, 0.0, 30.0), "dog")
    assert rectangles(svg) == [("9", 0.0, 516.67), ("5", 783.33, 216.67)]
    assert "<title>0:00 to 0:15: 0.92</title>" in svg


def test_a_long_strip_keeps_its_peaks_and_its_size() -> None:
    starts = [8.0 * k for k in range(4500)]
    presence = [0.0] * 4500
    presence[1234] = 1.0
    svg = strip_svg(Strip("dog", starts, presence), Timeline("/a.wav", None, 0.0, 36000.0), "dog")
    ((level, x, width),) = rectangles(svg)
    assert level == "10"
    assert abs(x - 1000 * 1234 / 4500) < 1000 / MAX_PLACES
    noisy = strip_svg(
        Strip("dog", starts, [k % 11 / 10 for k in range(4500)]), Timeline("/a.wav", None, 0.0, 36000.0), "dog"
    )
    assert len(rectangles(noisy)) <= MAX_PLACES
    assert width >= 1.5


def test_stretches_of_a_track_are_put_end_to_end() -> None:
    def row(start: float, track: int = 0) -> dict[str, object]:
        return {
            "source_uri": "/a.mp4", "track": track, "query_id": "dog", "start_seconds": start, "end_seconds": start + 8,
            "window_starts": [start], "window_presence": [start / 100], "windows_passed": 1, "stems": 1,
            "outcome": "present",
        }  # fmt: skip

    first, second = timelines([row(8.0), row(0.0), row(16.0), row(0.0, track=1)], {"/a.mp4"})
    assert (first.name, first.seconds) == ("a.mp4 · track 0", 24.0)
    assert first.strips["dog"].starts == [0.0, 8.0, 16.0]
    assert (first.strips["dog"].stems, first.strips["dog"].highest) == (3, 0.16)
    assert second.seconds == 8.0
