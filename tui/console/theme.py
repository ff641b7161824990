"""The console's themes. Colour stands for severity only; the accent marks the current place.

Variables beyond Textual's: `$muted` for less important text, `$faint` for lines, and the severities
`$danger`, `$risk` and `$policy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

DARK = Theme(
    name="mailhold-dark",
    primary="#6cb9b9",
    secondary="#6cb9b9",
    accent="#6cb9b9",
    foreground="#d3dae0",
    background="#13171b",
    surface="#191e23",
    panel="#232a31",
    boost="#232a31",
    error="#f48f8f",
    warning="#e2b768",
    success="#9ac98c",
    dark=True,
    variables={
        "muted": "#9ca7b1",
        "faint": "#3a434c",
        "danger": "#f48f8f",
        "risk": "#e2b768",
        "policy": "#d3dae0",
        "cursor": "#233d45",
        "cursor-blurred": "#242b32",
        "text-muted": "#9ca7b1",
        "text-disabled": "#8e98a2",
        "text-error": "#f48f8f",
        "text-warning": "#e2b768",
        "input-selection-background": "#2b5058",
        "input-selection-foreground": "#d3dae0",
        "screen-selection-background": "#2b5058",
        "screen-selection-foreground": "#d3dae0",
        "block-cursor-background": "#233d45",
        "block-cursor-foreground": "#d3dae0",
        "block-cursor-text-style": "none",
        "scrollbar": "#3a434c",
        "scrollbar-hover": "#4d5862",
        "scrollbar-active": "#6cb9b9",
        "scrollbar-background": "#13171b",
        "scrollbar-background-hover": "#13171b",
        "scrollbar-background-active": "#13171b",
        "border-blurred": "#3a434c",
    },
)

LIGHT = Theme(
    name="mailhold-light",
    primary="#0c636b",
    secondary="#0c636b",
    accent="#0c636b",
    foreground="#22292f",
    background="#fafaf8",
    surface="#f1f1ee",
    panel="#e6e7e3",
    boost="#e6e7e3",
    error="#ab221a",
    warning="#7f5200",
    success="#2a6831",
    dark=False,
    variables={
        "muted": "#4f585f",
        "faint": "#c9cdca",
        "danger": "#ab221a",
        "risk": "#7f5200",
        "policy": "#22292f",
        "cursor": "#d0e5e5",
        "cursor-blurred": "#e6e7e3",
        "text-muted": "#4f585f",
        "text-disabled": "#5f686f",
        "text-error": "#ab221a",
        "text-warning": "#7f5200",
        "input-selection-background": "#b5d9d9",
        "input-selection-foreground": "#22292f",
        "screen-selection-background": "#b5d9d9",
        "screen-selection-foreground": "#22292f",
        "block-cursor-background": "#d0e5e5",
        "block-cursor-foreground": "#22292f",
        "block-cursor-text-style": "none",
        "scrollbar": "#c9cdca",
        "scrollbar-hover": "#aab1b0",
        "scrollbar-active": "#0c636b",
        "scrollbar-background": "#fafaf8",
        "scrollbar-background-hover": "#fafaf8",
        "scrollbar-background-active": "#fafaf8",
        "border-blurred": "#c9cdca",
    },
)

#: The terminal's own 16 colours, for terminals that have no more, and for users who prefer them.
SIXTEEN = Theme(
    name="mailhold-16",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    error="ansi_red",
    warning="ansi_yellow",
    success="ansi_green",
    dark=True,
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "screen-selection-background": "ansi_cyan",
        "screen-selection-foreground": "ansi_black",
        "block-hover-background": "ansi_default",
        "muted": "ansi_default",
        "faint": "ansi_bright_black",
        "danger": "ansi_red",
        "risk": "ansi_yellow",
        "policy": "ansi_default",
        "cursor": "ansi_default",
        "cursor-blurred": "ansi_default",
        "text-muted": "ansi_default",
        "text-disabled": "ansi_default",
        "text-error": "ansi_red",
        "text-warning": "ansi_yellow",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
        "block-cursor-background": "ansi_default",
        "block-cursor-foreground": "ansi_default",
        "block-cursor-text-style": "reverse",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_white",
        "scrollbar-active": "ansi_cyan",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
        "border-blurred": "ansi_bright_black",
    },
)

#: In the order in which the theme key cycles through them.
THEMES = (DARK, LIGHT, SIXTEEN)


def dress(app: App[Any], theme: str = "") -> None:
    """Give an app only these themes; it begins with `theme`, or with one that its terminal can show."""
    for one in THEMES:
        app.register_theme(one)
    usual = SIXTEEN.name if app.console.color_system == "standard" else DARK.name
    app.theme = theme if theme in {one.name for one in THEMES} else usual
    for name in set(app.available_themes) - {one.name for one in THEMES}:
        app.unregister_theme(name)
