"""The console's own themes. Colour says severity and nothing else; one accent says where you are.

The variables beyond Textual's: `$muted` for what is read second, `$faint` for lines, and the severities `$danger`,
`$risk` and `$policy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

DARK = Theme(
    name="mailhold-dark",
    primary="#62b0b0",
    secondary="#62b0b0",
    accent="#62b0b0",
    foreground="#ccd3d9",
    background="#13171b",
    surface="#191e23",
    panel="#232a31",
    boost="#232a31",
    error="#f07f7f",
    warning="#dfb264",
    success="#93bf85",
    dark=True,
    variables={
        "muted": "#8b959f",
        "faint": "#3a434c",
        "danger": "#f07f7f",
        "risk": "#dfb264",
        "policy": "#ccd3d9",
        "cursor": "#2b444b",
        "cursor-blurred": "#242b32",
        "text-muted": "#8b959f",
        "text-disabled": "#626c76",
        "text-error": "#f07f7f",
        "text-warning": "#dfb264",
        "input-selection-background": "#2f5a63",
        "block-cursor-background": "#2b444b",
        "block-cursor-foreground": "#ccd3d9",
        "block-cursor-text-style": "none",
        "scrollbar": "#3a434c",
        "scrollbar-hover": "#4d5862",
        "scrollbar-active": "#62b0b0",
        "scrollbar-background": "#13171b",
        "scrollbar-background-hover": "#13171b",
        "scrollbar-background-active": "#13171b",
        "border-blurred": "#3a434c",
    },
)

LIGHT = Theme(
    name="mailhold-light",
    primary="#0f6b73",
    secondary="#0f6b73",
    accent="#0f6b73",
    foreground="#22292f",
    background="#fafaf8",
    surface="#f1f1ee",
    panel="#e6e7e3",
    boost="#e6e7e3",
    error="#b3261e",
    warning="#8a5a00",
    success="#2f6f35",
    dark=False,
    variables={
        "muted": "#5d666e",
        "faint": "#c9cdca",
        "danger": "#b3261e",
        "risk": "#8a5a00",
        "policy": "#22292f",
        "cursor": "#cfe3e3",
        "cursor-blurred": "#e6e7e3",
        "text-muted": "#5d666e",
        "text-disabled": "#8f979d",
        "text-error": "#b3261e",
        "text-warning": "#8a5a00",
        "input-selection-background": "#a9d2d2",
        "block-cursor-background": "#cfe3e3",
        "block-cursor-foreground": "#22292f",
        "block-cursor-text-style": "none",
        "scrollbar": "#c9cdca",
        "scrollbar-hover": "#aab1b0",
        "scrollbar-active": "#0f6b73",
        "scrollbar-background": "#fafaf8",
        "scrollbar-background-hover": "#fafaf8",
        "scrollbar-background-active": "#fafaf8",
        "border-blurred": "#c9cdca",
    },
)

#: The terminal's own 16 colours, for terminals that have no more, and for those whose owner chose them.
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
        "text-disabled": "ansi_bright_black",
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

#: In the order in which the key for themes goes through them.
THEMES = (DARK, LIGHT, SIXTEEN)


def dress(app: App[Any], theme: str = "") -> None:
    """Give an app these themes alone, and let it begin with `theme` or with what its terminal can show."""
    for one in THEMES:
        app.register_theme(one)
    usual = SIXTEEN.name if app.console.color_system == "standard" else DARK.name
    app.theme = theme if theme in {one.name for one in THEMES} else usual
    for name in set(app.available_themes) - {one.name for one in THEMES}:
        app.unregister_theme(name)
