"""Elements of HTML and SVG. All text goes through here, and so through one escaping: whatever a program, a file or a peer
has said can stand in it."""
import itertools
import re
import xml.etree.ElementTree as ElementTree

# What XML 1.0 cannot hold at all.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_numbers = itertools.count(1)


def clean(value):
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(value))


def element(tag, attributes=None, *children):
    """Children: elements, text, None (nothing)."""
    made = ElementTree.Element(tag, {k: clean(v) for k, v in (attributes or {}).items()})
    for child in children:
        append(made, child)
    return made


def append(parent, child):
    if child is None:
        return
    if isinstance(child, ElementTree.Element):
        parent.append(child)
        return
    last = parent[-1] if len(parent) else None
    if last is None:
        parent.text = (parent.text or "") + clean(child)
    else:
        last.tail = (last.tail or "") + clean(child)


def svg(width, height, title, description, *children):
    """An image that a screen reader can tell, as wide as its place allows."""
    number = next(_numbers)
    return element("svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width:g} {height:g}", "role": "img",
                           "width": f"{width:g}", "height": f"{height:g}",
                           "aria-labelledby": f"t{number} d{number}"},
                   element("title", {"id": f"t{number}"}, title), element("desc", {"id": f"d{number}"}, description),
                   *children)


def to_text(root):
    # "html" closes each element that HTML does not forbid to close: what it writes of an SVG is XML too.
    return ElementTree.tostring(root, encoding="unicode", method="html")
