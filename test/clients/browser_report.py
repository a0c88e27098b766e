"""usage_report_html in a real browser: headless Chromium, driven by chromedriver over HTTP, shows the page in both colour
schemes, on a desk and on phones. SCREENSHOTS names a folder that keeps what it looked like."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

import tap
from tap import equal, test

PATIENCE = 900  # seconds for one command; only one that never ends costs them
DESK, PHONE, SMALLEST = (1280, 900), (375, 812), (360, 640)
SCHEMES = ("light", "dark")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"]
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
DATABASE = "claude_gpt_report"
# Each breaks out of a place where names stand: content, an attribute, a title, an SVG.
HOSTILE = ["<script>alert('model')</script>", "\"onmouseover='alert(1)'x=\"&amp;", "</title></svg><img src=//evil.example/x>", "W" * 50]
HOSTILE_TIER = "</h3><svg onload=alert(2)><style>*{display:none}"

DATA = """
CREATE EXTENSION claude_gpt;
SET claude_gpt.fixed_time = '2026-06-30T12:00:00Z';
SET search_path = claude_gpt_data, claude_gpt;
UPDATE system_configs SET config_value = jsonb_build_object('free', '{"messagesPerMonth": 10, "costPerMonth": 5}'::jsonb, :'tier', '{"messagesPerMonth": 5}'::jsonb)
WHERE config_key = 'subscription_plans';
INSERT INTO users (email, password_hash, created_at, monthly_reset_date, monthly_message_count)
SELECT 'user' || n || '@example.com', 'x', '2026-06-01Z'::timestamptz + n * interval '1 day', '2026-06-01', n FROM generate_series(1, 12) AS n;
-- June has a day for each n but the 15th, where nothing was used.
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period)
SELECT u.id, t.type, t.quantity, m.name, t.quantity / 1000.0, '2026-06-01 12:00Z'::timestamptz + n * interval '1 day', '2026-06-01'
FROM generate_series(0, 29) AS n, LATERAL (VALUES ('message', 1), ('token', 1000 + n), ('api_call', 2)) AS t (type, quantity),
     unnest(:'models'::text[]) AS m (name), (SELECT id FROM users ORDER BY email LIMIT 2) AS u WHERE n <> 14;
INSERT INTO usage_records (user_id, usage_type, quantity, model_used, cost, created_at, billing_period)
SELECT id, 'token', 98765432109876543, 'dear', 12345678901.123456789, '2026-04-01Z', '2026-04-01' FROM users LIMIT 1;
INSERT INTO user_sessions (user_id, session_token, device_type, expires_at) SELECT id, id, 'web', '2030-01-01' FROM users;
INSERT INTO subscription_history (user_id, subscription_tier, subscription_status, event_type, amount, currency, created_at)
SELECT id, 'pro', 'active', 'payment_succeeded', 12345678.99, 'EUR', '2026-06-02Z' FROM users;
INSERT INTO job_runs (job_name, engine, started_at, finished_at, outcome, sqlstate) VALUES ('analyze', 'worker', '2026-06-02Z', '2026-06-02Z', 'failed', '57014'),
    ('usage_prune', 'worker', '2026-06-02Z', '2026-06-02Z', 'succeeded', NULL);
"""
# What is written, and how well: the contrast of each text with the ground it stands on.
CONTRAST = """
const channel = (value) => { value /= 255; return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
const colour = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (element) => { for (; element; element = element.parentElement) { const c = colour(getComputedStyle(element).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walker.nextNode());) {
  const element = node.parentElement;
  if (!node.data.trim() || element.closest('title') || !element.getClientRects().length) continue;
  const style = getComputedStyle(element), a = light(colour(element.closest('svg') ? style.fill : style.color)), b = light(ground(element));
  found.push([node.data, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return found;
"""
# The pixels of a picture: its size, and how many colours it has.
COLOURS = """
const [png, done] = arguments, image = new Image();
image.onload = () => {
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  done([image.width, image.height, new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size]);
};
image.src = 'data:image/png;base64,' + png;
"""


class Browser:
    """A session of chromedriver. Its log tells every request and every complaint of the page."""

    def __init__(self, scratch):
        self.driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       env=dict(os.environ, HOME=scratch))
        self.address = None
        for line in self.driver.stdout:
            if "successfully on port " in line:
                self.address = "http://127.0.0.1:" + line.rsplit(" ", 1)[1].strip(".\n")
                break
        try:
            wanted = {"browserName": "chrome",
                      "timeouts": {"script": PATIENCE * 1000, "pageLoad": PATIENCE * 1000},
                      "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": OPTIONS + [f"--user-data-dir={scratch}/profile"]},
                      "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
            self.session = "/session/" + self.command("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except BaseException:
            self.driver.kill()
            raise

    def command(self, method, path, body=None):
        request = urllib.request.Request(self.address + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with DIRECTLY.open(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def devtools(self, name, **parameters):
        return self.command("POST", f"{self.session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def run(self, script, *arguments, how="sync"):
        return self.command("POST", f"{self.session}/execute/{how}", {"script": script, "args": list(arguments)})

    def log(self, kind):
        return self.command("POST", f"{self.session}/se/log", {"type": kind})

    def show(self, page, size=DESK, scheme="light"):
        width, height = size
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=size != DESK)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.command("POST", f"{self.session}/url", {"url": page.as_uri()})

    def screenshot(self):
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])

    def close(self):
        with contextlib.suppress(Exception):
            self.command("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait(PATIENCE)


def psql(text, database=DATABASE, **variables):
    options = [option for name, value in variables.items() for option in ("-v", f"{name}={value}")]
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, *options], input=text, text=True, capture_output=True,
                          env=dict(os.environ, PGCLIENTENCODING="UTF8", PGOPTIONS="-c client_min_messages=warning"))
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def array_of(names):
    return "{" + ",".join('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names) + "}"


def write_page(name, first, last):
    page = pathlib.Path(scratch, name + ".html")
    page.write_text(psql("SET claude_gpt.fixed_time = '2026-06-30T12:00:00Z'; SELECT claude_gpt.usage_report_html(:'first', :'last')", first=first, last=last))
    return page


def every_look():
    """Each page in each scheme and size."""
    for page in (june, april, empty):
        for size in (DESK, PHONE, SMALLEST):
            for scheme in SCHEMES:
                browser.show(page, size, scheme)
                yield page, size, scheme


@test
def the_page_complains_of_nothing_and_asks_nobody_for_anything():
    browser.log("browser")
    for _ in every_look():
        pass
    equal(browser.log("browser"), [])
    pages = {page.as_uri() for page in (june, april, empty)}
    events = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # Those of the browser's own first tab are of another document.
    equal({request["request"]["url"] for request in requests if request["documentURL"] in pages}, pages)


@test
def nothing_is_wider_than_the_screen_with_all_tables_open_too():
    for page, size, scheme in every_look():
        for opened in (False, True):
            browser.run("for (const d of document.querySelectorAll('details')) d.open = arguments[0]", opened)
            equal((page.name, opened, browser.run("return [document.documentElement.scrollWidth <= innerWidth, innerWidth]")), (page.name, opened, [True, size[0]]))


@test
def a_day_is_as_high_as_its_share_of_the_axis_and_none_where_nothing_was_used():
    browser.show(june)
    names, days = browser.run("""
        const chart = document.querySelector('.plot'), all = chart.querySelector('.bars').getBoundingClientRect();
        const top = [...chart.querySelectorAll('.ticks text')].at(-1).textContent;
        return [[...document.querySelectorAll('figure h3')].map((h) => h.textContent),
                [...chart.querySelectorAll('.bars g')].map((g) => [g.querySelectorAll('rect:not(.hit)').length,
                    [...g.querySelectorAll('rect:not(.hit)')].reduce((sum, bar) => sum + bar.getBoundingClientRect().height, 0) / all.height, top])]""")
    equal(names, ["Tokens a day", "Cost a day", "Messages a day", "API calls a day", "Active users a day", "Sign-ups a day"])
    equal(len(days), 30)
    for n, (bars, height, top) in enumerate(days):
        equal((bars, top), (0 if n == 14 else 4, "10k"))
        expected = 0 if n == 14 else 8 * (1000 + n) / 10000  # two users of four models
        equal((n, abs(height - expected) < 0.01), (n, True))


@test
def hostile_names_are_text_and_nothing_more():
    browser.show(june)
    equal(browser.run("return [...document.querySelector('.legend').children].map((item) => item.textContent).sort()"), sorted(HOSTILE))
    equal(browser.run("return document.querySelectorAll('script, img, link, iframe, object, a, [onload], [onmouseover], [style], style ~ style, body style').length"), 0)
    equal(browser.run("return [...document.querySelectorAll('.plan h3 bdi')].map((name) => name.textContent).sort()"), sorted(["free", HOSTILE_TIER]))


@test
def text_has_a_contrast_of_four_and_a_half_at_least():
    for page, size, scheme in every_look():
        browser.run("for (const d of document.querySelectorAll('details')) d.open = true")
        found = browser.run(CONTRAST)
        if len(found) < 100:
            raise AssertionError(f"only {len(found)} texts were found")
        equal((scheme, [text for text, contrast in found if contrast < 4.5]), (scheme, []))


@test
def the_page_is_dark_where_that_is_preferred():
    grounds = []
    for scheme in SCHEMES:
        browser.show(june, scheme=scheme)
        grounds.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    equal(grounds, ["rgb(244, 245, 247)", "rgb(14, 17, 22)"])


@test
def pictures_have_labels_and_a_table_of_their_numbers():
    browser.show(june)
    equal(browser.run("return [...document.querySelectorAll('[role=img]')].filter((picture) => !picture.getAttribute('aria-label')).length"), 0)
    equal(browser.run("return [...document.querySelectorAll('figure')].map((figure) => figure.querySelectorAll('.plot[role=img]').length + ' ' + figure.querySelectorAll('tbody tr').length)"),
          ["1 30"] * 6)
    equal(browser.run("return [document.documentElement.lang, document.title, document.querySelectorAll('h1').length]"), ["en", "Usage report, 1 June \u2013 30 June 2026", 1])


@test
def it_looks_like_something():
    for page, size, scheme in every_look():
        picture = browser.screenshot()
        browser.command("POST", f"{browser.session}/url", {"url": "about:blank"})
        width, height, colours = browser.run(COLOURS, base64.b64encode(picture).decode(), how="async")
        equal((width, height > size[1], colours > 50), (size[0], True, True))
        if "SCREENSHOTS" in os.environ:
            pathlib.Path(os.environ["SCREENSHOTS"], f"{page.stem}_{size[0]}_{scheme}.png").write_bytes(picture)


@test
def what_got_into_the_page_could_not_run_or_ask():
    browser.show(june)
    equal(browser.run("""
        const script = document.createElement('script'), style = document.createElement('style'), refused = [];
        document.addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective));
        script.textContent = 'window.ran = true';
        style.textContent = 'body { display: none }';
        document.body.append(script, style);
        document.body.setAttribute('style', 'opacity: 0');
        const looks = getComputedStyle(document.body);
        return [window.ran ?? false, looks.display, looks.opacity]"""), [False, "block", "1"])


if __name__ == "__main__":
    for program in ("chromium", "chromedriver", "psql"):
        if not shutil.which(program):
            tap.skip_all(f"there is no {program}")
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        psql(f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'", "postgres")
        stack.callback(psql, f"DROP DATABASE {DATABASE}", "postgres")
        psql(DATA, tier=HOSTILE_TIER, models=array_of(HOSTILE))
        june, april = write_page("june", "2026-06-01", "2026-06-30"), write_page("april", "2025-04-02", "2026-04-01")
        empty = write_page("empty", "2001-01-01", "2001-01-07")
        browser = Browser(scratch)
        stack.callback(browser.close)
        tap.run()
