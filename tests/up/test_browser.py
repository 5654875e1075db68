"""The app's page in a real browser: what a visitor sees, with and without JavaScript."""

from __future__ import annotations

import re
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

    from tests.fix_program import Program

pytestmark = pytest.mark.engine

WAIT_S = 30
PHONE_WIDTH = 320
FLAGS = [
    "--headless=new",
    "--no-sandbox",  # root has no sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,860",
]
# Enough words that an answer that is shown at once cannot be taken for one that streams.
LONG_QUESTION = " ".join(f"word{number}" for number in range(100))
# Notes, with every repaint of the conversation, the last entry's text and whether the button can be pressed.
RECORD = """
window.seen = [];
const list = document.getElementById("messages");
const button = document.querySelector("#ask button");
const note = () => {
  const last = list.lastElementChild;
  window.seen.push([last.className, last.textContent, button.disabled]);
};
new MutationObserver(note).observe(list, {childList: true, subtree: true, characterData: true});
"""


@pytest.fixture(scope="module", autouse=True)
def programs() -> tuple[str, str]:
    """Find Chromium and its driver; without them the module is skipped before a stack comes up."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no browser: install chromium and chromium-driver")
    return browser, driver


def _options(browser: str, folder: Path, scripts: int) -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS, f"--user-data-dir={folder / 'profile'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    settings = {
        "download.default_directory": str(folder / "downloads"),
        "profile.managed_default_content_settings.javascript": scripts,
    }
    options.add_experimental_option("prefs", settings)
    return options


def _open(programs: tuple[str, str], folder: Path, *, scripts: bool) -> Iterator[Chrome]:
    """Start a browser with an empty profile; the driver's path is given, so that nothing is downloaded."""
    browser, driver = programs
    # Chromium's content settings: 1 allows, 2 blocks.
    options = _options(browser, folder, 1 if scripts else 2)
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(programs: tuple[str, str], tmp_path: Path) -> Iterator[Chrome]:
    """Give a browser of a new visitor."""
    yield from _open(programs, tmp_path, scripts=True)


@pytest.fixture
def plain_browser(programs: tuple[str, str], tmp_path: Path) -> Iterator[Chrome]:
    """Give a browser that runs no JavaScript of pages."""
    yield from _open(programs, tmp_path, scripts=False)


def _until(chrome: Chrome, condition: Callable[[Chrome], Any]) -> Any:
    # A page that is being replaced takes its elements with it.
    ignored = [StaleElementReferenceException, IndexError]
    return WebDriverWait(chrome, WAIT_S, poll_frequency=0.05, ignored_exceptions=ignored).until(condition)


def _find(chrome: Chrome, selector: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, selector)


def _press(chrome: Chrome, text: str) -> None:
    chrome.find_element(By.XPATH, f"//button[normalize-space()='{text}']").click()


def _visit(chrome: Chrome, program: Program) -> None:
    chrome.get(program.outputs()["app_url"])


def _enter_demo(chrome: Chrome, program: Program) -> None:
    _visit(chrome, program)
    _press(chrome, "Continue as demo user")
    _until(chrome, lambda page: page.find_elements(By.ID, "ask"))


def _ask(chrome: Chrome, question: str) -> None:
    _find(chrome, "#message").send_keys(question)
    _press(chrome, "Ask")


def _credits(chrome: Chrome) -> int:
    return int(_find(chrome, "#credits").text)


def _messages(chrome: Chrome) -> list[tuple[str | None, str]]:
    """Read the conversation as (role, text)."""
    shown = chrome.find_elements(By.CSS_SELECTOR, "#messages li")
    return [(item.get_attribute("class"), item.text) for item in shown]


def _is_answered(chrome: Chrome) -> bool:
    """Tell whether the page's script has finished an answer: the form is empty and ready again."""
    return not _find(chrome, "#message").get_attribute("value") and _find(chrome, "#ask button").is_enabled()


def _problem(chrome: Chrome) -> str:
    return _find(chrome, "#end").text


def _complaints(chrome: Chrome) -> list[str]:
    """Read what the console has said since the last call: errors, and what the page's policy blocked."""
    return [f"{entry['level']}: {entry['message']}" for entry in chrome.get_log("browser")]


def _resize_to_phone(chrome: Chrome) -> None:
    metrics = {"width": PHONE_WIDTH, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _widths(chrome: Chrome) -> list[int]:
    """Give the width of the window and of what is in it, both in CSS pixels."""
    script = "const page = document.documentElement; return [page.clientWidth, page.scrollWidth];"
    return list(chrome.execute_script(script))


def _is_in_sight(chrome: Chrome, element: WebElement) -> bool:
    """Tell whether the end of an element can be seen without scrolling."""
    script = "return arguments[0].getBoundingClientRect().bottom"
    return bool(0 < chrome.execute_script(script, element) <= chrome.execute_script("return innerHeight"))


def test_front_page_loads_without_complaints(browser: Chrome, local: Program) -> None:
    """Script, style and icon are found and allowed by the page's own policy: the console is silent."""
    _visit(browser, local)
    heading = _find(browser, "h1")

    assert heading.is_displayed()
    assert browser.title == "Groundwork"
    # Only the stylesheet limits the page's width.
    assert _find(browser, "body").size["width"] < browser.get_window_size()["width"]
    assert _complaints(browser) == []


def test_pages_fit_a_phone(browser: Chrome, local: Program) -> None:
    """Nothing is wider than a narrow phone, not even a word without an end."""
    _resize_to_phone(browser)
    _visit(browser, local)
    front = _widths(browser)
    _enter_demo(browser, local)
    _ask(browser, "x" * 300)
    _until(browser, lambda page: _messages(page)[-1] == ("assistant", f"You said: {'x' * 300}"))

    assert front == [PHONE_WIDTH, PHONE_WIDTH]
    assert _widths(browser) == [PHONE_WIDTH, PHONE_WIDTH]


def test_joining_the_waitlist_is_confirmed(browser: Chrome, local: Program) -> None:
    """The visitor reads that it worked, and the address is stored."""
    _join(browser, local, "script@example.com")

    assert _complaints(browser) == []


def test_joining_the_waitlist_needs_no_javascript(plain_browser: Chrome, local: Program) -> None:
    """The waitlist's form is an ordinary one."""
    _join(plain_browser, local, "plain@example.com")


def _join(chrome: Chrome, program: Program, address: str) -> None:
    _visit(chrome, program)
    _find(chrome, "#email").send_keys(address)
    _press(chrome, "Join")
    notice = _until(chrome, lambda page: page.find_elements(By.CSS_SELECTOR, "[role=status]"))[0]
    with psycopg.connect(program.outputs()["database_url"]) as session:
        stored = session.execute("select count(*) from public.waitlist_entries where email = %s", [address])

        assert "on the waitlist now" in notice.text
        assert stored.fetchone() == (1,)


def test_an_answer_appears_word_by_word(browser: Chrome, local: Program) -> None:
    """The reply grows while it is made, cannot be asked for twice meanwhile, and is complete at the end."""
    _enter_demo(browser, local)
    browser.execute_script(RECORD)
    _ask(browser, LONG_QUESTION)
    _until(browser, _is_answered)
    noted = browser.execute_script("return window.seen")
    texts = [text for role, text, _ in noted if role == "assistant"]
    full = f"You said: {LONG_QUESTION}"

    assert texts[-1] == full
    # Several words may come at once, but an answer that was held back shows only a handful of states.
    assert len(set(texts)) > 30
    assert [text for text in texts if not full.startswith(text)] == []
    assert sorted(texts, key=len) == texts
    assert all(is_disabled for _, _, is_disabled in noted)
    assert _complaints(browser) == []


def test_a_conversation_is_paid_and_kept(browser: Chrome, local: Program) -> None:
    """Every answer costs credits; after a reload the same conversation and the same balance are shown."""
    _enter_demo(browser, local)
    before = _credits(browser)
    _ask(browser, "the first one")
    _until(browser, _is_answered)
    after_one = _credits(browser)
    _ask(browser, "the second one")
    _until(browser, _is_answered)
    shown, left = _messages(browser), _credits(browser)
    browser.refresh()

    assert shown[-4:] == [
        ("user", "the first one"),
        ("assistant", "You said: the first one"),
        ("user", "the second one"),
        ("assistant", "You said: the second one"),
    ]
    assert before > after_one > left
    assert _messages(browser) == shown
    assert _credits(browser) == left


def test_a_question_needs_no_javascript(plain_browser: Chrome, local: Program) -> None:
    """The form is sent as a whole, and the page comes back at the answer."""
    _enter_demo(plain_browser, local)
    before = _credits(plain_browser)
    _ask(plain_browser, LONG_QUESTION)
    _until(plain_browser, lambda page: "conversation=" in page.current_url)
    _ask(plain_browser, "without a script")
    _until(plain_browser, lambda page: _messages(page)[-1][1] == "You said: without a script")
    last = plain_browser.find_elements(By.CSS_SELECTOR, "#messages li")[-1]

    assert _messages(plain_browser)[-4:-1] == [
        ("user", LONG_QUESTION),
        ("assistant", f"You said: {LONG_QUESTION}"),
        ("user", "without a script"),
    ]
    assert _credits(plain_browser) < before
    assert _is_in_sight(plain_browser, last)


def test_a_refused_question_says_why_and_is_kept(browser: Chrome, local: Program) -> None:
    """A form of an ended session: the reason is shown, and the question is still there to be sent again."""
    _enter_demo(browser, local)
    before = _messages(browser)
    browser.delete_all_cookies()
    _ask(browser, "who am I?")
    _until(browser, _problem)

    assert "This form is not valid any more" in _problem(browser)
    assert _find(browser, "#message").get_attribute("value") == "who am I?"
    assert _messages(browser) == before
    assert _find(browser, "#ask button").is_enabled()


def test_a_lost_connection_is_told_and_the_question_can_be_sent_again(
    browser: Chrome, local: Program
) -> None:
    """Without a network the page says so; once it is back, the same button works."""
    _enter_demo(browser, local)
    before = _messages(browser)
    browser.set_network_conditions(offline=True, latency=0, throughput=0)
    _ask(browser, "is anybody there?")
    _until(browser, _problem)
    told = _problem(browser)
    browser.delete_network_conditions()
    _press(browser, "Ask")
    _until(browser, _is_answered)
    asked, answered = ("user", "is anybody there?"), ("assistant", "You said: is anybody there?")

    assert "The connection broke" in told
    assert _problem(browser) == ""
    assert _messages(browser) == [*before, asked, answered]


@pytest.mark.parametrize("kind", ["browser", "plain_browser"])
def test_the_export_is_downloaded_as_a_zip(
    kind: str, request: pytest.FixtureRequest, local: Program, tmp_path: Path
) -> None:
    """The link saves a file with today's name that opens, and the page stays."""
    chrome: Chrome = request.getfixturevalue(kind)
    _enter_demo(chrome, local)
    address = chrome.current_url
    chrome.find_element(By.LINK_TEXT, "Export the data").click()
    saved = _until(chrome, lambda _: _saved(tmp_path / "downloads"))

    assert re.fullmatch(r"export-\d{4}-\d\d-\d\d\.zip", saved.name)
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        assert [name for name in archive.namelist() if name.endswith("messages.csv")]
    assert chrome.current_url == address


def _saved(folder: Path) -> Path | None:
    """Find a complete download: the browser holds the name with an empty file until the end."""
    return next(
        (file for file in folder.glob("*") if zipfile.is_zipfile(file) and file.suffix == ".zip"), None
    )


def test_signing_out_ends_the_account(browser: Chrome, local: Program) -> None:
    """The front page comes back, and the browser's back button shows nothing of the account."""
    _enter_demo(browser, local)
    _press(browser, "Sign out")
    _until(browser, lambda page: page.find_elements(By.ID, "email"))
    browser.back()
    _until(browser, lambda page: "notice=" not in page.current_url and page.find_elements(By.ID, "email"))

    assert browser.find_elements(By.ID, "messages") == []
