"""Captures whose payloads announce conversations: calls, transfers, sessions."""

from scapy.all import ICMP, IP, TCP, UDP, Ether, IPv6, Raw, wrpcap

ALICE, BOB, PROXY, NOBODY = (f"198.18.100.{i}" for i in (1, 2, 3, 9))
ALICE6, BOB6 = "2001:db8:100::1", "2001:db8:100::2"
INVITE, OK, ACK, RINGING, PROGRESS = "INVITE", "200 OK", "ACK", "180 Ringing", "183 Session Progress"
NOT_ACCEPTABLE = "488 Not Acceptable Here"
_BEGIN = 1_700_000_000
_MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


def write(path, packets):
    """One packet a tenth of a second; gives the path."""
    for i, packet in enumerate(packets):
        packet.time = _BEGIN + i / 10
    wrpcap(str(path), packets)
    return path


def apart(groups):
    """The packets of many captures for one: each on a network of its own, and which one each packet is of."""
    return [(name, _moved(p, 100 + i)) for i, (name, some) in enumerate(groups.items()) for p in some]


def _moved(packet, network):
    packet, old, new = packet.copy(), b"100", str(network).encode()
    layer = packet
    while layer:
        if isinstance(layer, IP | IPv6):
            layer.src, layer.dst = (s.replace("100", str(network)) for s in (layer.src, layer.dst))
        if isinstance(layer, Raw):
            for prefix in (b"198.18.", b"198,18,", b"2001:db8:"):
                layer.load = layer.load.replace(prefix + old, prefix + new)
        layer = layer.payload
    return packet


def datagram(source, sport, destination, dport, payload=b"abcdefgh"):
    ip = IPv6 if ":" in source else IP
    header = ip(src=source, dst=destination) / UDP(sport=sport, dport=dport)
    return Ether(**_MACS) / header / Raw(payload)


def sip(line, body="", *, cseq="1 INVITE", call="call-1@example.com", kind="application/sdp", short=False):
    """A request (by its method) or a response (by its status) with headers that matter."""
    start = f"SIP/2.0 {line}" if line[:1].isdigit() else f"{line} sip:bob@example.com SIP/2.0"
    names = ("i", "c", "l") if short else ("Call-ID", "Content-Type", "Content-Length")
    headers = [start, "Via: SIP/2.0/UDP 198.18.100.1;branch=z9hG4bK1", f"CSeq: {cseq}", f"{names[0]}: {call}"]
    headers += [f"{names[1]}: {kind}"] if body else []
    return "\r\n".join([*headers, f"{names[2]}: {len(body)}", "", body]).encode()


def sdp(*media, address=ALICE, head=()):
    """A description: `media` are its lines from the first `m=` on."""
    family = "IP6" if ":" in address else "IP4"
    lines = [
        "v=0",
        f"o=- 1 1 IN {family} {address}",
        "s=-",
        f"c=IN {family} {address}",
        "t=0 0",
        *head,
        *media,
    ]
    return "".join(f"{line}\r\n" for line in lines)


def audio(port, protocol="RTP/AVP"):
    return f"m=audio {port} {protocol} 0 8"


def say(payload, *, back=False, source=ALICE, destination=BOB, ports=(5060, 5060)):
    if back:
        return datagram(destination, ports[1], source, ports[0], payload)
    return datagram(source, ports[0], destination, ports[1], payload)


def rtp(number=1):
    return bytes((0x80, 0, 0, number)) + bytes(8) + b"sound" * 4


def talk(one=(ALICE, 4000), other=(BOB, 4002), count=2):
    """Media in both directions, and its control one port higher."""
    packets = []
    for i in range(count):
        packets += [datagram(*one, *other, rtp(i)), datagram(*other, *one, rtp(i))]
    report = bytes((0x80, 201, 0, 1, 0, 0, 0, 1))
    (a, a_port), (b, b_port) = one, other
    return [
        *packets,
        datagram(a, a_port + 1, b, b_port + 1, report),
        datagram(b, b_port + 1, a, a_port + 1, report),
    ]


def probe(*addresses, ports=(4000, 4001, 4005, 4010, 4011, 5000, 5001, 5007, 65535)):
    """Each port from two senders, and back: they share a stream where somebody waits for any sender."""
    return [
        datagram(*ends)
        for address in addresses or (ALICE, PROXY, NOBODY)
        for port in ports
        for ends in _senders(address, port)
    ]


def _senders(address, port):
    one, other, another = (
        (BOB6, "2001:db8:100::3", "2001:db8:100::9") if ":" in address else (BOB, PROXY, NOBODY)
    )
    return (one, 4002, address, port), (other, 9000, address, port), (address, port, another, 7)


def segment(payload, seq, *, back=False, flags="PA"):
    source, destination = (BOB, ALICE) if back else (ALICE, BOB)
    sport, dport = (5060, 40000) if back else (40000, 5060)
    header = IP(src=source, dst=destination) / TCP(sport=sport, dport=dport, seq=seq, ack=1, flags=flags)
    return Ether(**_MACS) / header / Raw(payload)


def _offer(*media, **more):
    return sip(INVITE, sdp(*(media or (audio(4000),)), **more))


def _answer(*media, status=OK, **more):
    return sip(status, sdp(*(media or (audio(4002),)), address=BOB), **more)


def calls():
    """By name: calls over SIP, as they are and as they may be."""
    offer, answer, ring = _offer(), _answer(), sip(RINGING)
    early, ack = _answer(audio(4002), status=PROGRESS), sip(ACK, cseq="1 ACK")
    again = sip(INVITE, sdp(audio(4000)), cseq="2 INVITE")
    again_answer = _answer(cseq="2 INVITE")
    fax = sip(INVITE, sdp("m=image 4000 udptl t38"), cseq="2 INVITE")
    fax_answer = sip(OK, sdp("m=image 4002 udptl t38", address=BOB), cseq="2 INVITE")
    fax_refused = sip(NOT_ACCEPTABLE, sdp("m=image 0 udptl t38", address=BOB), cseq="2 INVITE")
    begun = [say(offer), say(ring, back=True), say(answer, back=True), say(ack)]
    return {
        "offer_and_answer": [*begun, *talk(), *talk()],
        "media_before_the_offer": [*talk(), *begun, *talk()],
        "media_before_the_answer": [say(offer), *talk(), say(answer, back=True), *talk()],
        "offer_alone": [say(offer), *talk()],
        "answer_alone": [say(answer, back=True), *talk()],
        "offer_again": [say(offer), say(offer), *talk(), say(offer), *talk()],
        "answer_again": [*begun, *talk(), say(answer, back=True), *talk()],
        "early_media": [say(offer), say(early, back=True), *talk(), say(answer, back=True), *talk()],
        "early_media_again": [say(offer), say(early, back=True), *talk(), say(early, back=True), *talk()],
        "invited_again": [*begun, *talk(), say(again), *talk(), say(again_answer, back=True), *talk()],
        "fax": [*begun, *talk(), say(fax), *talk(), say(fax_answer, back=True), *talk()],
        "fax_refused": [*begun, *talk(), say(fax), *talk(), say(fax_refused, back=True), *talk()],
        "another_call": [*begun, *talk(), say(sip(INVITE, sdp(audio(4000)), call="other")), *talk()],
        "by_a_proxy": [
            say(offer, destination=PROXY), say(offer, source=PROXY), *talk(),
            say(answer, source=PROXY, back=True), say(answer, destination=PROXY, back=True), *talk(),
        ],
        "to_ports_announced": [*begun, *probe(ALICE, BOB, ports=(4000, 4001, 4002, 4003))],
        "from_elsewhere": [*begun, *talk(other=(PROXY, 7000)), *talk(one=(ALICE, 4000), other=(PROXY, 9000))],
        "offer_again_behind_its_end": [*begun, *talk(), say(offer), *talk()],
        "other_ports": [*(say(p, ports=(5070, 15060)) for p in (offer, answer)), *probe(ALICE, BOB)],
        "short_names": [say(sip(INVITE, sdp(audio(4000)), short=True)), *probe()],
        "no_session": [say(sip(INVITE, sdp(audio(4000)), kind="application/isup")), *probe()],
        "options": [say(sip("OPTIONS", cseq="1 OPTIONS")), *begun, *talk()],
        "quoted_by_an_error": [
            Ether(**_MACS) / IP(src=BOB, dst=ALICE) / ICMP(type=3, code=3) / say(offer)[IP], *probe(),
        ],
        "sixth_version": [
            say(sip(INVITE, sdp(audio(4000), address=ALICE6)), source=ALICE6, destination=BOB6),
            *talk((ALICE6, 4000), (BOB6, 4002)),
        ],
    }  # fmt: skip


def descriptions():
    """By name: one offer each, in which something is unlike the others, and the media behind it."""
    bundle = (audio(4000), "m=video 4000 RTP/AVP 96")
    lines = {
        "control_elsewhere": (audio(4000), "a=rtcp:4005"),
        "control_with_address": (audio(4000), "a=rtcp:4005 IN IP4 198.18.100.1"),
        "control_muxed": (audio(4000), "a=rtcp-mux"),
        "control_told_for_the_session": ("a=rtcp:4005", audio(4000)),
        "bundled": bundle,
        "two_media": (audio(4000), "m=video 4001 RTP/AVP 96"),
        "secure": (audio(4000, "RTP/SAVP"),),
        "dtls": (audio(4000, "UDP/TLS/RTP/SAVPF"),),
        "unknown_protocol": (audio(4000, "RTP/XYZ"),),
        "lower_case": (audio(4000, "rtp/avp"),),
        "port_zero": (audio(0),),
        "port_and_count": ("m=audio 4000/2 RTP/AVP 0",),
        "port_too_large": ("m=audio 70000 RTP/AVP 0",),
        "port_no_number": ("m=audio 4000x RTP/AVP 0",),
        "two_blanks": ("m=audio  4000  RTP/AVP  0",),
        "own_address": (audio(4000), "c=IN IP4 198.18.100.3"),
        "own_address_of_none": (audio(4000), "c=IN IP4 example.com"),
        "group_with_scope": (audio(4000), "c=IN IP4 198.18.100.3/127"),
        "address_with_zero": (audio(4000), "c=IN IP4 198.018.100.3"),
        "address_behind_two_blanks": (audio(4000), "c=IN IP4  198.18.100.3"),
        "address_behind_a_blank": (audio(4000), "c= IN  IP4 198.18.100.3"),
        "address_before_a_blank": (audio(4000), "c=IN IP4 198.18.100.3 "),
        "address_of_another_family": (audio(4000), "c=IN IP6 198.18.100.3"),
        "address_lacking": (audio(4000), "c=IN IP4"),
        "address_lacking_behind_a_blank": (audio(4000), "c=IN IP4 "),
        "network_alone": (audio(4000), "c=IN"),
        "network_and_a_blank": (audio(4000), "c=IN "),
        "nothing": (audio(4000), "c="),
        "media_behind_a_blank": ("m= audio 4000 RTP/AVP 0",),
        "line_feeds": ("m=audio 4000 RTP/AVP 0\nc=IN IP4 198.18.100.3\nm=audio 4010 RTP/AVP 0",),
        "returns": ("m=audio 4000 RTP/AVP 0\rc=IN IP4 198.18.100.3\rm=audio 4010 RTP/AVP 0",),
        "many_media": (
            audio(5000),
            audio(5002),
            audio(5004),
            audio(5006),
            audio(4000),
            "c=IN IP4 198.18.100.9",
        ),
        "fax_and_audio": (audio(4010), "m=image 4000 udptl t38"),
        "modem": ("m=audio 4000 udpsprt 100",),
        "quotation": ('i="a\r\n', audio(4000)),
        "no_delimiter": ("nonsense", audio(4000)),
        "empty_line": ("", audio(4000)),
    }
    return {name: [say(sip(INVITE, sdp(*some))), *talk(), *probe()] for name, some in lines.items()}


def written_addresses():
    """An offer and its media for each of many ways to write an address, good and bad."""
    last = (
        "::1",
        "0:0::1",
        "0:0:0:0:0:1",
        "::0.0.0.1",
        "0::0.0.0.1",
        "0:0:0:0:0.0.0.1",
        "::00001",
        "::1::",
        ":1",
    )
    texts = [f"2001:DB8:100{end}" for end in last]
    texts += [
        "2001:db8:100:0:0:0:0:1",
        "2001:db8:100:0:0:0:0:0:1",
        "2001:db8:100:0:0:0:1",
        "2001:db8:100::1:",
    ]
    texts += [
        "2001:db8:100:0:0::0:1",
        "2001:db8:100:0:0:0:0::",
        "2001:db8:100:0:0:0:0:0::",
        "2001:db8:100::1%1",
    ]
    texts += [
        "::",
        "::1",
        ":",
        "",
        "1::",
        "::ffff:198.18.100.1",
        "::ffff:198.18.100",
        "g::1",
        "2001:db8:100::1/64",
    ]
    packets = []
    for i, text in enumerate(texts):
        family, port = "IP6", 20000 + 2 * i
        offer = sip(INVITE, sdp(audio(port), f"c=IN {family} {text}"), call=f"written-{i}")
        packets += [say(offer), *probe(ALICE6, "::", "::1", "1::", "2001:db8:100::", ports=(port,))]
    for i, text in enumerate(
        ("1.2.3.4", "1.2.3.256", "1.2.3", "1.2.3.4.5", "1..3.4", "0.0.0.0", "01.2.3.4", "1.2.3.")
    ):
        offer = sip(INVITE, sdp(audio(30000 + 2 * i), f"c=IN IP4 {text}"), call=f"dotted-{i}")
        packets += [say(offer), *probe("1.2.3.4", "0.0.0.0", ports=(30000 + 2 * i,))]
    return {"written_addresses": packets}


def over_tcp():
    """By name: SIP over TCP."""
    offer, answer = _offer(), _answer()
    cut = len(offer) - 20
    return {
        "tcp": [segment(offer, 1), segment(answer, 1, back=True), *probe()],
        "tcp_two_in_one": [segment(offer + sip(INVITE, sdp(audio(4010)), cseq="2 INVITE"), 1), *probe()],
        "tcp_offer_twice": [segment(offer, 1), *talk(), segment(offer, 1 + len(offer)), *probe()],
        "tcp_again": [segment(offer, 1), *talk(), segment(offer, 1), *talk()],
        "tcp_first_part": [segment(offer[:cut], 1), *probe()],
    }


def transfers():
    """By name: TFTP and HART-IP, which go on at a port of the server's choice."""
    read, write_ = b"\0\1boot.img\0octet\0", b"\0\2boot.img\0NetASCII\0blksize\0001400\0"
    data, received = b"\0\3\0\1" + b"x" * 100, b"\0\4\0\1"
    ask = datagram(ALICE, 2000, BOB, 69, read)
    send = [datagram(BOB, 3000, ALICE, 2000, data), datagram(ALICE, 2000, BOB, 3000, received)]
    another = [datagram(BOB, 3001, ALICE, 2000, data), datagram(ALICE, 2000, BOB, 3001, received)]
    start = bytes((1, 0, 0, 0, 0, 1, 0, 13, 1, 0, 0, 0, 0))
    started = bytes((1, 1, 0, 0, 0, 1, 0, 13, 1, 0, 0, 0, 0))
    go_on = bytes((1, 0, 3, 0, 0, 2, 0, 8))
    session = [datagram(ALICE, 2100, BOB, 5094, start), datagram(BOB, 6000, ALICE, 2100, started)]
    going_on = [datagram(ALICE, 2100, BOB, 6000, go_on), datagram(BOB, 6000, ALICE, 2100, go_on)]
    return {
        "tftp": [ask, *send, *send],
        "tftp_asked_again": [ask, *send, ask, *send, *another],
        "tftp_from_two_ports": [ask, *send, *another],
        "tftp_write": [datagram(ALICE, 2000, BOB, 69, write_), *send],
        "tftp_broken": [datagram(ALICE, 2000, BOB, 69, b"\0\1boot.img\0octal\0"), *send, *another],
        "tftp_at_another_port": [datagram(ALICE, 2000, BOB, 3069, read), *send, *another],
        "tftp_at_another_port_again": [
            datagram(ALICE, 2000, BOB, 3069, read), *send,
            datagram(ALICE, 2000, BOB, 3069, read), *another, datagram(ALICE, 2000, BOB, 3070, read), *send,
        ],
        "tftp_answer_from_the_port": [ask, datagram(BOB, 69, ALICE, 2000, data), *send],
        "hart": [*session, *going_on, *going_on],
        "hart_started_again": [*session, *going_on, *session, *going_on],
        "hart_at_the_known_port": [
            datagram(ALICE, 2100, BOB, 5094, start), datagram(BOB, 5094, ALICE, 2100, started), *going_on,
        ],
        "hart_unasked": [session[1], *going_on],
    }  # fmt: skip


def notices():
    """By name: descriptions outside of SIP's bodies."""
    local, remote = sdp(audio(4000)), sdp(audio(5000), address=PROXY)
    create = "CRCX 1 line/1@example.com MGCP 1.0\r\nC: 1\r\nM: sendrecv\r\n"
    created = "200 1 OK\r\nI: 7\r\n"
    media = (
        "MEGACO/1 [198.18.100.1]:2944\r\nTransaction = 1 {{ Context = 1 {{ MF = a {{ Media {{ {} }} }} }} }}"
    )
    short = "!/1 [198.18.100.1]:2944 T=1{{C=1{{MF=a{{M{{{}}}}}}}}}"
    header = bytes((0x20, 0, 0, 1, 198, 18, 100, 1))
    parts = [
        f"Content-Type: application/sdp\r\n\r\n{local}",
        "Content-Type: text/plain\r\n\r\nm=audio 4010 RTP/AVP 0",
    ]
    multipart = "".join(f"--mark\r\n{part}\r\n" for part in parts) + "--mark--\r\n"
    mixed = "multipart/mixed;boundary=mark"
    some = {
        "mgcp_request": (2427, f"{create}\r\n{remote}"),
        "mgcp_response": (2427, f"{created}\r\n{local}"),
        "mgcp_at_the_agent": (2727, f"{created}\r\n{local}"),
        "mgcp_nothing_described": (2427, create),
        "mgcp_two": (2427, f"{created}\r\n{local}.\r\n{create}\r\n{remote}"),
        "mgcp_line_feeds": (2427, f"{created}\r\n{local}".replace("\r\n", "\n")),
        "mgcp_other": (2427, f"hello, world\r\n\r\n{local}"),
        "megaco_local": (2944, media.format("Local {\r\n" + local + "}")),
        "megaco_remote": (2944, media.format("Stream = 1 { Remote{\r\n" + remote + "} }")),
        "megaco_both": (
            2944,
            media.format(
                "LocalControl { Mode = SendOnly }, Local {\n" + local + "}, Remote {\n" + remote + "}"
            ),
        ),
        "megaco_short": (2944, short.format("ST=1{L{" + local + "},R{" + remote + "}}")),
        "megaco_empty": (2944, media.format("Local { }, Remote {\r\n" + remote + "}")),
        "megaco_other": (2944, "hello, Local {\r\n" + local + "}"),
        "sap": (9875, header + local.encode()),
        "sap_with_a_type": (9875, header + b"application/sdp\0" + local.encode()),
        "sap_compressed": (9875, bytes((0x21, *header[1:])) + local.encode()),
        "sap_authenticated": (9875, bytes((0x20, 1, *header[2:], 0x20, 0, 0, 0)) + local.encode()),
        "multipart": (5060, sip(INVITE, multipart, kind=mixed)),
        "multipart_other": (5060, sip(INVITE, multipart.replace("application/sdp", "text/html"), kind=mixed)),
    }
    twice = {"multipart_twice": [say(some["multipart"][1]), *talk(), say(some["multipart"][1]), *talk()]}
    return twice | {name: [_to(*what), *probe(), *talk()] for name, what in some.items()}


def _to(port, payload):
    return datagram(ALICE, port, BOB, port, payload if isinstance(payload, bytes) else payload.encode())


def bound():
    """By name: what announces connections, too, and has no effect on the numbers of whole ones."""
    passive = "227 Entering Passive Mode (198,18,100,2,156,64)\r\n"
    active = "PORT 198,18,100,1,156,64\r\n"
    return {
        "ftp_passive": [*dialogue(b"PASV\r\n", passive.encode(), port=21), *dialogue(b"x", port=40000)],
        "ftp_active": [*dialogue(active.encode(), b"200 OK\r\n", port=21), *dialogue(b"x", port=20)],
    }


def relays():
    """By name: connections through SOCKS proxies, each before another connection."""
    greeting, open_ = b"\5\1\0", b"\5\0"
    by_name, by_user, user, checked = b"\5\2\0\2", b"\5\2", b"\1\1u\1p", b"\1\0"
    to_address = b"\5\1\0\1\xc6\x12\x64\x09\0\x50"
    to_name, to_six = b"\5\1\0\3\7example\0\x50", b"\5\1\0\4" + bytes(16) + b"\0\x50"
    done, refused = b"\5\0\0\1" + bytes(6), b"\5\5\0\1" + bytes(6)
    four, granted, rejected = b"\4\1\0\x50\xc6\x12\x64\x09user\0", b"\0\x5a" + bytes(6), b"\0\x5b" + bytes(6)
    get, page = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    turns = {
        "socks_5": (greeting, open_, to_address, done, get, page),
        "socks_5_by_name": (greeting, open_, to_name, done, get, page),
        "socks_5_sixth_version": (greeting, open_, to_six, done, get, page),
        "socks_5_user": (by_name, by_user, user, checked, to_address, done, get, page),
        "socks_5_choice_not_used": (by_name, open_, to_address, done, get, page),
        "socks_5_all_at_once": (greeting + to_address, open_ + done, get, page),
        "socks_5_refused": (greeting, open_, to_address, refused, get, page),
        "socks_5_no_method": (greeting, b"\5\xff", to_address, done, get, page),
        "socks_5_gssapi": (b"\5\1\1", b"\5\1", b"\1\1\0\0", b"\1\1\0\0", to_address, done, get, page),
        "socks_5_ping": (greeting, open_, b"\5\x80" + to_address[2:], done, get, page),
        "socks_5_bind": (greeting, open_, b"\5\2" + to_address[2:], done, done, get, page),
        "socks_5_associate": (greeting, open_, b"\5\3" + to_address[2:], done, get, page),
        "socks_5_cut_off": (greeting, open_, b"\5\1\0", done, get, page),
        "socks_4": (four, granted, get, page),
        "socks_4_rejected": (four, rejected, get, page),
        "socks_of_no_version": (get, page, get, page),
        "socks_seen_late": (page, get, page, get),
    }
    packets = {name: [*dialogue(*some), *dialogue(b"x", port=81)] for name, some in turns.items()}
    packets["socks_and_the_same_port"] = [*dialogue(*turns["socks_4"]), *dialogue(get, page, port=80)]
    packets["socks_again"] = [*dialogue(*turns["socks_4"]), *dialogue(*turns["socks_4"], first=9000)] * 2
    return packets


def dialogue(*turns, port=1080, first=1000):
    """A connection in which client and server take turns."""
    seq = [first, 2 * first]

    def part(back, flags, payload=b""):
        source, destination = (BOB, ALICE) if back else (ALICE, BOB)
        sport, dport = (port, 41000) if back else (41000, port)
        numbers = {"seq": seq[back], "ack": seq[1 - back] if "A" in flags else 0}
        header = IP(src=source, dst=destination) / TCP(sport=sport, dport=dport, flags=flags, **numbers)
        seq[back] += len(payload) + ("S" in flags)
        return Ether(**_MACS) / header / Raw(payload) if payload else Ether(**_MACS) / header

    packets = [part(0, "S"), part(1, "SA"), part(0, "A")]
    return packets + [part(i % 2, "PA", turn) for i, turn in enumerate(turns)]
