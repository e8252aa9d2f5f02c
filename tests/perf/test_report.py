"""The report page: all figures of all rows, images that are XML, and nothing of what a peer says taken for markup."""
import html.parser
import json
import pathlib
import re
import xml.etree.ElementTree as ElementTree

import pytest

import plot
import report_html
from plot import Bar, Line, Spread

HERE = pathlib.Path(__file__).resolve().parent
SVG = re.compile(r'<svg\b.*?</svg>', re.DOTALL)
NAME = '{http://www.w3.org/2000/svg}'
HOSTILE = '</svg></style></script><script>alert(1)</script><img src=x onerror=y>&amp;"\'\x00\x1b[2J\ud800'


@pytest.fixture(name='report')
def hand_made():
    return json.loads((HERE / 'report.json').read_text(encoding='utf-8'))


def page_of(report):
    text, problems = report_html.page(report)
    assert problems == []
    return text


class Tables(html.parser.HTMLParser):
    """All rows of all tables, as text."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.cells, self.tags = [], None, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == 'tr':
            self.cells = []
        elif tag in ('td', 'th') and self.cells is not None:
            self.cells.append('')

    def handle_endtag(self, tag):
        if tag == 'tr':
            self.rows.append(self.cells)
            self.cells = None

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def images(text):
    return [ElementTree.fromstring(image) for image in SVG.findall(text)]


def told(image):
    return ''.join(image.itertext())


def test_each_image_is_xml_and_tells_itself(report):
    found = images(page_of(report))
    # 2 operations' names, 5 comparisons, 6 by N, 1 herd, 4 flood, 5 shards
    assert len(found) == 2 + 5 + 6 + 1 + 4 + 5
    for image in found:
        title, description = image.find(f'{NAME}title'), image.find(f'{NAME}desc')
        assert title.text and description.text
        assert image.get('role') == 'img'
        assert image.get('aria-labelledby').split() == [title.get('id'), description.get('id')]
    names = [i.get('aria-labelledby') for i in found]
    assert len(set(names)) == len(names)


def test_all_rows_are_there(report):
    rows = Tables(page_of(report)).rows
    for wanted in (
            ['x25519, strongSwan', '5.9.8', '5,000', '0.389 (0.357–0.393)', '×10.8', '16,019 (16,013–16,024)', '×14.7',
             '3,336 (3,234–4,457)', '3'],
            ['x25519, strongSwan', '23.2 (14.5–28.2)', '3.20 (2.60–17.3)', '4,999', '7', '1 no answer'],
            ['x25519, plutonium', '4.30 (3.10–6.30)', '–', '5,000', '0', ''],
            ['X25519 both', 'pluto', '8', '1', '6.48 (6.40–6.91)', '154,321 (150,001–155,002)', '5'],
            ['X25519 both', 'libcrypto', '1', '2', '68.5 (66.7–75)', '29,210 (28,001–29,991)', '5'],
            ['100,000', '99,998', '99,998', '12,211', '0.0374', '1,081', '2.10', '6.90', '3', '2 no answer'],
            ['1,000', '0.0200', '0.0100', '0.00400', '20', '0.100', '13.4', '13,016', '70.1', '1,356'],
            ['1,000,000', 'not measured: no memory'],
            ['strongSwan', '5.9.8', '1,000', '400', '–', '–', '–', '4,321', '987', '77', '–', '0.600', '600 gave up'],
            ['plutonium', '0.1.0', '1,000', '1,000', '0.170', '0.290', '0.300', '12', '4', '12.3', '0', '0.0410', ''],
            ['flood', '48,765', '98.7', '4,000', '3,999', '3.30', '512', '1,534', '77', '61.2', '33.4', '47,500', '11',
             '4,123', '25 M', '1 gave up'],
            ['2', '10,000', '9,990', '5003, 4987', '1.30', '13,000 (12,000–14,500)', '4.50 (4–5.10)',
             '0.0430 (0.0410–0.0460)', '7.50', '0.113 (0.111–0.121)', '3.20'],
            ['2', '0.0610 (0.0600–0.0650)', '0.0200', '0.400', '5 (2–8)', '0', '0.500', '0.200', '21', '0', '3',
             '10 gave up'],
            ['2', '0.0120', '1.10', 'not available here', '–', '–', '–'],
            ['1', '5,123 (5,001–5,211)', '–'], ['2', '–', 'text'],
            ['gone', 'cut off: after 240 s', '240', 'gone.py']):
        assert wanted in rows, wanted


def shown(image):
    """What is written in it, not the titles that only a pointer or a screen reader finds."""
    return [''.join(e.itertext()) for e in image.iter(f'{NAME}text')]


def test_all_rows_are_drawn(report):
    found = {image.find(f'{NAME}title').text: image for image in images(page_of(report))}
    for title, wanted in (
            ("x25519: responder's CPU, ms/tunnel", ('plutonium', '0.0360 (0.0350–0.0450)', 'strongSwan',
                                                    '0.389 (0.357–0.393)', 'libreswan')),
            ('X25519 both, operations/CPU second', ('pluto, 8 at once', '154,321',
                                                    'libcrypto, 2 threads', '14,605')),
            ("honest peers' set-up, p99, ms", ('alone', '2.60', 'beside the flood', '512')),
            ('memory, bytes/tunnel over tunnels', ('1,827', '1,081', '1,000', '100,000')),
            ('peers up again, % over s since the first began', ('plutonium, 1,000 peers', 'strongSwan, 1,000 peers')),
            ('speed-up, times', ('1 shard', '1 (0.900–1.10)', '2 shards', '1.30 (1.20–1.45)'))):
        texts = shown(found[title])
        for text in wanted:
            assert text in texts, (title, text, texts)


def test_what_has_no_figure_says_why(report):
    text = page_of(report)
    assert 'x25519, libreswan: packages cannot be fetched' in text
    assert 'something else: for a reason' in text
    assert 'its last words' in text and 'cut off: after 240 s' in text
    assert any('packages cannot be fetched' in told(i) for i in images(text))


def test_it_needs_nothing_else(report):
    text = page_of(report)
    assert not re.search(r'(?:src|href)\s*=\s*"(?!#)|@import|url\(', text)
    assert 'script' not in Tables(text).tags


def infest(value):
    """Every text of it is hostile."""
    if isinstance(value, dict):
        return {k: infest(v) for k, v in value.items()}
    if isinstance(value, list):
        return [infest(v) for v in value]
    return HOSTILE if isinstance(value, str) and value not in ('x25519', 'plutonium', 'flood') else value


def test_hostile_text_stays_text(report):
    clean = Tables(page_of(report))
    report = infest(report)
    report['parts'][HOSTILE] = {'status': HOSTILE, 'detail': HOSTILE, 'said': HOSTILE, 'result': {HOSTILE: HOSTILE}}
    for row in report['parts']['compare']['result']['rows']:
        row['failed'] = {HOSTILE: 3}
    text = page_of(report)
    dirty = Tables(text)
    assert dirty.tags <= clean.tags
    assert '\x00' not in text and '\x1b' not in text
    assert text.count('<style>') == 1 and text.count('</style>') == 1
    text.encode('utf-8')
    assert len(images(text)) == 1 + 5 + 6 + 1 + 4 + 5
    assert any('<script>alert(1)</script>' in cell for row in dirty.rows for cell in row), 'it is not shown at all'


def test_a_report_that_is_not_as_expected_is_shown_all_the_same(report):
    report['parts']['scale']['result'] = {'rows': [{'tunnels': 77123, 'unknown': 'thing'}]}
    report['parts']['crypto']['result'] = 'text'
    text, problems = report_html.page(report)
    assert [p.split(':')[0] for p in problems] == ['crypto', 'scale']
    assert ['77,123', 'thing'] in Tables(text).rows


@pytest.mark.parametrize('report', [{}, {'parts': {}}, {'machine': {}, 'parts': {'compare': {}}},
                                    {'parts': {'compare': {'result': {'rows': []}}, 'crypto': {'result': []},
                                               'scale': {'result': {'rows': []}}, 'herd': {'result': {'rows': []}},
                                               'flood': {'result': {'rows': []}}}}])
def test_a_report_with_nothing_in_it(report):
    for image in images(page_of(report)):
        assert image.find(f'{NAME}title').text


def places(image, kind, name):
    return [float(e.get(name)) for e in image.iter() if e.get('class', '').startswith(kind) and e.get(name)]


def test_bars_are_as_long_as_their_figures():
    image = ElementTree.fromstring(report_html.to_text(plot.bars('t', [
        Bar('half', Spread(50, 25, 100)), Bar('whole', Spread(100, 100, 100)), Bar('none', None, note='why')], 'x')))
    half, whole = places(image, 'fill', 'width')
    assert whole == pytest.approx(2 * half, abs=.2)
    left = places(image, 'fill', 'x')[0]
    error = [e for e in image.iter() if e.get('class') == 'spread' and e.get('y1') == e.get('y2')]
    assert float(error[0].get('x1')) == pytest.approx(left + half / 2, abs=.2)
    assert float(error[0].get('x2')) == pytest.approx(left + whole, abs=.2)
    assert 'why' in told(image)


def test_lines_over_powers_of_ten():
    image = ElementTree.fromstring(report_html.to_text(plot.lines('t', [Line('l', [
        (10 ** n, Spread(v, v, v)) for n, v in ((3, 5), (4, 5), (5, 10))])], 'x', 'N')))
    xs, ys = places(image, 'fill', 'cx'), places(image, 'fill', 'cy')
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=.2)
    assert ys[0] == ys[1] > ys[2]
    bottom = [float(e.get('y1')) for e in image.iter() if e.get('class') == 'axis' and e.get('y1') == e.get('y2')][0]
    assert bottom - ys[2] == pytest.approx(2 * (bottom - ys[0]), abs=.3)


@pytest.mark.parametrize('value, text', [(0, '0'), (0.0359, '0.0359'), (5, '5'), (4.3, '4.30'), (99.4, '99.4'),
                                         (16513.4, '16,513'), (12345678, '12 M'), (-3.25, '-3.25'), (1e-7, '0.000000100')])
def test_short_numbers(value, text):
    assert plot.short(value) == text


@pytest.mark.parametrize('value', [None, True, 'x', {}, {'median': 1}, float('nan'), {'median': 1, 'min': 0, 'max': float('inf')}])
def test_what_is_no_figure(value):
    assert Spread.of(value) is None
