"""Links of HDF5 files against h5py: what they lead to is read at every path, what leads nowhere is named."""

import h5py
import pytest

import decode
import stack
from expect import same_array
from test_bad_input import NOT_FOUND, UNIMPLEMENTED
from wire import Client

FOLDER = stack.FIXTURES / "links"
FILES = ["links_earliest.h5", "links_latest.h5"]
DATA = [
    "twin",
    "soft",
    "chain",
    "detour",
    "through_cycles",
    "group/relative",
    "group/inner/deep",
    "second_group/inner/deep",
    "second_group/relative",
    "to_group/inner/deep",
    "to_group/relative",
    "to_group/itself/up/inner/deep",
    "group/itself/inner/top/soft",
    "group/inner/top/to_group/up/relative",
    "here/here/data",
    "/./group//itself/./relative/",
]
CYCLES = {
    "here": "/",
    "group/itself": "/group",
    "group/up": "/group",
    "group/inner/top": "/",
    "second_group/itself": "/second_group",
    "second_group/up": "/second_group",
    "to_group/inner/top": "/",
}
NOWHERE = {
    "dangling": "soft link to '/nowhere/at/all': there is no 'nowhere'",
    "into_data": "soft link to '/data/x': there is no 'x'",
    "itself": "soft link to '/itself': more than 64 soft links, perhaps a cycle",
    "ping": "soft link to '/pong': more than 64 soft links, perhaps a cycle",
    "only_soft/data": "soft link to '../data': there is no '..'",
    "only_soft/gone": "soft link to 'gone': more than 64 soft links, perhaps a cycle",
    "external": "external link to '/x/y' in the file 'other.h5': links to other files are not followed",
    "through_external": "soft link to '/external/z': external link to '/x/y' in the file 'other.h5'",
    "few/external": "external link to 'z' in the file '../päth/other.h5': links to other files are not followed",
    "custom": "user-defined link of class 70",
    "few/custom": "user-defined link of class 255",
}


@pytest.fixture(scope="module")
def client(site):
    for name in FILES:
        site.register(name, source=FOLDER / name)
    client = Client(site.serve().uri)
    yield client
    client.close()


@pytest.fixture(params=FILES)
def opened(request):
    with h5py.File(FOLDER / request.param) as file:
        yield request.param, file


def test_every_link_is_listed(client, opened):
    key, file = opened
    listed = {node["path"]: node for node in client.action("tree", {"key": key})["nodes"]}
    names = {f"{group}/{name}".lstrip("/") for group in ("", "group", "group/inner", "few", "only_soft") for name in file[group or "/"]}
    assert names <= set(listed)
    for path, reason in NOWHERE.items():
        assert listed[path]["kind"] == "unreadable" and listed[path]["reason"].startswith(reason), listed[path]
    for path, group in CYCLES.items():
        assert listed[path]["reason"] == f"link back to the group '{group}', which contains it"
    unreadable = {path for path, node in listed.items() if node["kind"] == "unreadable"}
    assert {path for path in unreadable & names if path not in CYCLES} == set(NOWHERE) | {"pong"}


@pytest.mark.parametrize("path", DATA)
def test_links_lead_to_data(client, opened, path):
    key, file = opened
    same_array(decode.array(client.get({"key": key, "node": path})), file[path][()])


@pytest.mark.parametrize("path", CYCLES)
def test_links_to_groups_above_list_these(client, opened, path):
    key, file = opened
    found = client.get({"key": key, "node": path}).column("path").to_pylist()
    above = CYCLES[path].strip("/")
    assert {name.removeprefix(above).strip("/").split("/")[0] for name in found} == set(file[path])


@pytest.mark.parametrize("path", NOWHERE)
def test_links_that_lead_nowhere_are_refused(client, opened, path):
    key, file = opened
    with pytest.raises((KeyError, RuntimeError, OSError)):
        file[path]
    for node in (path, f"{path}/below"):
        with pytest.raises(UNIMPLEMENTED) as error:
            client.get({"key": key, "node": node})
        assert NOWHERE[path] in str(error.value) and f"'{path}'" in str(error.value)


def test_what_is_below_data_is_not_found(client, opened):
    with pytest.raises(NOT_FOUND, match="no node 'data/x'"):
        client.get({"key": opened[0], "node": "data/x"})
