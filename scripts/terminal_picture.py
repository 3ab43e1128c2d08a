#!/usr/bin/env python3
"""Turns a terminal's screen, as `tmux capture-pane -e -p` prints it, into an SVG picture.

  tmux capture-pane -e -p -t PANE | scripts/terminal_picture.py COLUMNS ROWS [CURSOR_X CURSOR_Y] >screen.svg
"""
import re
import sys
import unicodedata
from xml.sax.saxutils import escape

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 12
FOREGROUND, BACKGROUND = "#d8dee9", "#1e222a"
COLOURS = {
    30: "#3b4252", 31: "#e06c75", 32: "#98c379", 33: "#e5c07b", 34: "#61afef", 35: "#c678dd", 36: "#56b6c2", 37: "#d8dee9",
    90: "#7f848e", 91: "#ff7b86", 92: "#b5e890", 93: "#ffd787", 94: "#82c7ff", 95: "#e29bf5", 96: "#7fdbe6", 97: "#ffffff",
}
ZERO_WIDTH = ("Mn", "Me", "Cf")


def width(character):
    if unicodedata.category(character) in ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class Style:
    def __init__(self):
        self.colour, self.bold, self.dim, self.underline, self.reverse = None, False, False, False, False

    def apply(self, codes):
        for code in codes or [0]:
            if code == 0:
                self.__init__()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.dim = True
            elif code == 4:
                self.underline = True
            elif code == 7:
                self.reverse = True
            elif code == 22:
                self.bold = self.dim = False
            elif code == 24:
                self.underline = False
            elif code == 27:
                self.reverse = False
            elif code == 39:
                self.colour = None
            elif code in COLOURS:
                self.colour = code

    def key(self):
        return self.colour, self.bold, self.dim, self.underline, self.reverse


def runs(line):
    """Pieces of (column, width, text, style) that look alike."""
    style, column, pieces, joined = Style(), 0, [], False
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            style.apply([int(number or 0) for number in code.group(1).split(";")])
            continue
        for character in re.sub(r"\x1b\][^\x1b]*\x1b\\|\x0e|\x0f", "", part):
            columns = 0 if joined else width(character)
            joined = character == "\u200d"
            plain = ord(character) < 128 and not joined
            if pieces and (columns == 0 or plain and pieces[-1][4] and pieces[-1][3] == style.key()):
                last = pieces[-1]
                pieces[-1] = (last[0], last[1] + columns, last[2] + character, last[3], last[4])
            else:
                pieces.append((column, columns, character, style.key(), plain))
            column += columns
    return pieces


def main():
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__.strip())
        return
    if len(sys.argv) not in (3, 5) or not all(word.isdigit() for word in sys.argv[1:]):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    cursor = (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else None
    lines = sys.stdin.read().split("\n")[:rows]
    picture_width = columns * CELL_WIDTH + 2 * MARGIN
    picture_height = rows * CELL_HEIGHT + 2 * MARGIN
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{picture_width:.0f}" height="{picture_height:.0f}" '
        f'viewBox="0 0 {picture_width:.0f} {picture_height:.0f}" font-size="14" '
        "font-family=\"ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Noto Sans Mono CJK JP', monospace\">"
    )
    print(f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>')
    for number, line in enumerate(lines):
        top = MARGIN + number * CELL_HEIGHT
        for column, cells, text, (colour, bold, dim, underline, reverse), _ in runs(line):
            fill = COLOURS.get(colour, FOREGROUND)
            left, length = MARGIN + column * CELL_WIDTH, cells * CELL_WIDTH
            if reverse:
                print(f'<rect x="{left:.1f}" y="{top}" width="{length:.1f}" height="{CELL_HEIGHT}" fill="{fill}"/>')
                fill = BACKGROUND
            if not text.strip() and not underline:
                continue
            if text == "\u2502":
                middle = left + CELL_WIDTH / 2
                print(f'<path d="M{middle:.1f} {top}v{CELL_HEIGHT}" stroke="{fill}" opacity=".45"/>')
                continue
            look = (' font-weight="bold"' if bold else "") + (' opacity=".55"' if dim else "")
            look += ' text-decoration="underline"' if underline else ""
            print(
                f'<text x="{left:.1f}" y="{top + 13.5:.1f}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs" '
                f'xml:space="preserve" fill="{fill}"{look}>{escape(text)}</text>'
            )
    if cursor:
        print(
            f'<rect x="{MARGIN + cursor[0] * CELL_WIDTH:.1f}" y="{MARGIN + cursor[1] * CELL_HEIGHT}" '
            f'width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="{FOREGROUND}" opacity=".7"/>'
        )
    print("</svg>")


main()
