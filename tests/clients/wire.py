"""A pyarrow Flight client with what the tests say often: no call is without a deadline.

It is pyarrow and JSON only, as any user could write it.
"""

import json

import pyarrow
import pyarrow.flight as flight

SECONDS = 60


class Client:
    """Slices by key and node from one server."""

    def __init__(self, uri, seconds=SECONDS):
        self.flight = flight.FlightClient(uri)
        self.options = flight.FlightCallOptions(timeout=seconds)

    def info(self, request):
        """`GetFlightInfo` of a request (a dict, or a tuple of path parts)."""
        return self.flight.get_flight_info(descriptor(request), self.options)

    def reader(self, ticket):
        """`DoGet` of a ticket, or of a request written as one."""
        if not isinstance(ticket, flight.Ticket):
            ticket = flight.Ticket(json.dumps(ticket))
        return self.flight.do_get(ticket, self.options)

    def get(self, request):
        """The whole answer: every endpoint of the info, in order, as one table."""
        info = self.info(request)
        tables = [self.reader(endpoint.ticket).read_all() for endpoint in info.endpoints]
        table = pyarrow.concat_tables(tables)
        if info.total_records >= 0:
            assert table.num_rows == info.total_records
        assert table.schema.equals(info.schema, check_metadata=True), "the stream's schema is the info's"
        return table

    def direct(self, request):
        """The whole answer of a request used as a ticket."""
        return self.reader(request).read_all()

    def action(self, name, body=None):
        """The JSON answer of an action; a list when it gives several results."""
        answers = self.flight.do_action(flight.Action(name, json.dumps(body or {}).encode()), self.options)
        documents = [json.loads(answer.body.to_pybytes()) for answer in answers]
        return documents[0] if len(documents) == 1 else documents

    def listed(self, **criteria):
        """The FlightInfos of `ListFlights` that meet the criteria."""
        words = json.dumps(criteria).encode() if criteria else b""
        return list(self.flight.list_flights(words, self.options))

    def close(self):
        """Closes the connection."""
        self.flight.close()


def descriptor(request):
    """A CMD descriptor of a dict, a PATH descriptor of a tuple; bytes are taken as a command."""
    if isinstance(request, tuple):
        return flight.FlightDescriptor.for_path(*request)
    command = request if isinstance(request, bytes) else json.dumps(request).encode()
    return flight.FlightDescriptor.for_command(command)


def described(info):
    """The JSON in a FlightInfo's `app_metadata`."""
    return json.loads(info.app_metadata)
