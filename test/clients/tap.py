"""TAP for the tests of Python clients: each function marked with @test is one, its name is the property."""
import traceback

_tests = []


def test(function):
    _tests.append(function)
    return function


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    raise SystemExit


def run():
    print(f"1..{len(_tests)}", flush=True)
    failures = 0
    for number, function in enumerate(_tests, 1):
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Exception:
            failures += 1
            print(f"not ok {number} - {name}")
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
    raise SystemExit(failures > 0)


def equal(got, expected):
    if got != expected or type(got) is not type(expected):
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def raises(expected, call):
    """Returns the error, which must be of this type."""
    try:
        call()
    except expected as error:
        return error
    raise AssertionError(f"no {expected.__name__} was raised")
