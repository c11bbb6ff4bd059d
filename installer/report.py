"""What the operator reads at the end: what was done, where things are, what to do next, how to go back."""

from __future__ import annotations

from installer.layout import Layout
from installer.logged import Done
from installer.offer import Offer
from installer.plan import Mode
from installer.state import State

REPORTED = {
    "install": "installed",
    "upgrade": "installed",
    "downgrade": "installed",
    "repair": "repaired",
    "rollback": "current again",
}
"""Modes that have a final report, and what it says of the release."""


def final_report(
    mode: Mode, layout: Layout, offer: Offer, *, generated: tuple[str, ...], before: State | None, done: Done
) -> tuple[str, ...]:
    """The lines of the report after an install, upgrade, repair or rollback."""
    product, ctl = offer.manifest.product, layout.ctl.name
    lines = [f"{product.title} {product.version} is {REPORTED[mode]}."]
    if before is not None and before.current != product.version:
        lines.append(f"  before:        {before.current} (stays on this host)")
    lines += [
        f"  program:       {layout.current}",
        f"  configuration: {layout.config_dir}",
        f"  data:          {layout.data_dir}",
        f"  log:           {done.log}",
    ]
    if done.absence is not None:
        lines.append(f"  was away:      {done.absence:.1f} s")
    lines += [f"  secret:        {layout.config_dir / name} (made for this host; root reads it)" for name in generated]
    lines += _images(layout, offer)
    lines.append(f"Next: {ctl} status")
    commands = [f"{layout.commands_dir / name}" for name in offer.manifest.server.commands]
    if commands:
        lines.append(f"Commands: {', '.join(commands)}")
    lines.append(f"To go back: {_way_back(mode, ctl, before)}")
    return tuple(lines)


def _way_back(mode: Mode, ctl: str, before: State | None) -> str:
    """The command that undoes what was just done."""
    if mode in {"rollback", "downgrade"} and before is not None:
        return f"{ctl} rollback --to {before.current}"
    return f"{ctl} rollback" if mode == "upgrade" else f"{ctl} uninstall"


def _images(layout: Layout, offer: Offer) -> list[str]:
    lines = []
    for image in offer.images:
        if image.source is not None:
            lines.append(f"  image:         {layout.images_dir / image.file_name}")
        else:
            lines.append(f"  image:         {image.name} is not embedded; it is at {image.url}")
    return lines
