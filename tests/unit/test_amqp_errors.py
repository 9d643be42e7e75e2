"""The border: every one of pika's reasons becomes words for an operator and an error with a way out."""

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from crawl_producer.amqp.errors import Closed, again, connect_reason, handshake_refusal
from crawl_producer.errors import BrokerRefused, BrokerUnreachable, TopologyDrift, TopologyInvalid, TopologyMissing


def said(code, text):
    """How pika reports what the broker said during the handshake."""
    return repr(exceptions.ConnectionClosedByBroker(code, text))


def failed(*causes):
    return workflow.AMQPConnectionWorkflowFailed(causes)


def handshake(error):
    return failed(workflow.AMQPConnectorAMQPHandshakeError(error))


WRONG_PASSWORD = handshake(
    exceptions.ProbableAuthenticationError(said(403, "ACCESS_REFUSED - Login was refused using PLAIN. See the log."))
)
NO_VHOST = handshake(exceptions.ProbableAccessDeniedError(said(530, "NOT_ALLOWED - vhost nope not found")))
NODE_STOPPED = handshake(exceptions.ProbableAuthenticationError(repr(exceptions.StreamLostError("EOF"))))
VHOST_DOWN = handshake(exceptions.ProbableAccessDeniedError(said(541, "INTERNAL_ERROR - vhost '/' is down")))
VHOST_FULL = handshake(
    exceptions.ProbableAccessDeniedError(
        said(530, "NOT_ALLOWED - access to vhost '/': connection limit (1) is reached")
    )
)
NO_PLAIN = handshake(exceptions.AuthenticationError("PLAIN"))


@pytest.mark.parametrize(
    ("error", "words"),
    [(WRONG_PASSWORD, "ACCESS_REFUSED"), (NO_VHOST, "vhost nope not found"), (NO_PLAIN, "PLAIN")],
    ids=["password", "vhost", "mechanism"],
)
def test_a_refusal_is_for_good(error, words):
    assert words in handshake_refusal(error)


@pytest.mark.parametrize(
    "error",
    [NODE_STOPPED, VHOST_DOWN, VHOST_FULL, failed(workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError()))],
    ids=["node stopped", "vhost down", "vhost full", "port closed"],
)
def test_what_may_pass_is_no_refusal(error):
    assert handshake_refusal(error) is None


def test_a_refusal_by_the_second_address_of_a_name_counts():
    both = failed(workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError()), *WRONG_PASSWORD.exceptions)
    assert "ACCESS_REFUSED" in handshake_refusal(both)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (TimeoutError("TCP connection attempt timed out"), "no answer in time"),
        (workflow.AMQPConnectorStackTimeout("Timeout during AMQP handshake"), "no answer in time"),
        (ssl.SSLError(1, "[SSL] something"), "TLS: "),
        (exceptions.IncompatibleProtocolError("..."), "AMQP 0-9-1"),
        (OSError(113, "No route to host"), "No route to host"),
        (exceptions.ProbableAccessDeniedError(said(541, "INTERNAL_ERROR - vhost '/' is down")), "vhost '/' is down"),
        (exceptions.StreamLostError("Transport indicated EOF"), "Transport indicated EOF"),
        (exceptions.ConnectionOpenAborted(), "ConnectionOpenAborted"),
    ],
)
def test_every_reason_is_said_in_a_few_words(cause, words):
    reason = connect_reason(failed(workflow.AMQPConnectorSocketConnectError(cause)))
    assert words in reason
    assert "\n" not in reason


def test_the_reasons_of_several_addresses_are_each_said_once():
    refused = workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError())
    timed_out = workflow.AMQPConnectorSocketConnectError(TimeoutError())
    assert connect_reason(failed(refused, timed_out, refused)) == "connection refused; no answer in time"


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (404, "NOT_FOUND - no queue 'q' in vhost '/'", TopologyMissing),
        (406, "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q'", TopologyDrift),
        (406, "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q'", TopologyInvalid),
        (403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", BrokerRefused),
        (405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'", BrokerRefused),
    ],
)
def test_a_closed_channel_becomes_an_error_with_the_brokers_words_and_a_remedy(code, text, kind):
    error = Closed.because(exceptions.ChannelClosedByBroker(code, text)).as_error()
    assert type(error) is kind
    assert text in str(error)
    assert error.remedy


@pytest.mark.parametrize(
    ("reason", "lost"),
    [
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - broker forced connection closure"), True),
        (exceptions.ConnectionClosedByBroker(541, "INTERNAL_ERROR"), True),
        (exceptions.ConnectionClosedByBroker(503, "COMMAND_INVALID - unknown exchange type 'odd'"), False),
        (exceptions.ChannelClosedByBroker(404, "NOT_FOUND"), False),
        (exceptions.StreamLostError("reset"), True),
        (exceptions.AMQPHeartbeatTimeout("silent"), True),
        (exceptions.NoFreeChannels(), False),
    ],
)
def test_only_what_was_no_fault_of_ours_may_be_tried_again(reason, lost):
    assert Closed.because(reason).lost is lost


def test_a_publication_that_closes_its_channel_names_the_exchange():
    def blamed(code, text):
        return Closed(code, text, lost=False).exchange

    assert blamed(404, "NOT_FOUND - no exchange 'crawl.nope' in vhost '/'") == "crawl.nope"
    assert blamed(403, "ACCESS_REFUSED - access to exchange 'x' in vhost 'v' refused for user 'u'") == "x"
    assert blamed(404, "NOT_FOUND - no queue 'q' in vhost '/'") is None
    assert blamed(406, "PRECONDITION_FAILED - exchange 'x' in vhost '/'") is None


def test_an_error_raised_again_is_another_object_with_the_same_words():
    error = BrokerUnreachable("no node", remedy="start one")
    copy = again(error)
    assert copy is not error
    assert (type(copy), str(copy), copy.remedy) == (BrokerUnreachable, "no node", "start one")
