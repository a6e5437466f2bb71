"""Words that the platform's own errors are made of.

An error that shares such words with a message's text does not quote that text. Source: the errors in
tests/data/graph_api_errors.json, and the platform's documentation of its errors.
"""

_WORDS = """
a able about accept accepted access accessed accessing account action active again alias aliases
all allow allowed already an and any api app application apps are argument as at attachment authenticate authorization
authorized available be because been before blocked business but button buttons by call calls can cannot changed
character characters check click code comment content control could current data date deleted developer developers did
disabled do documentation does due duplicate either element elements empty error errors exceeded exist exists expected
expired expires facebook failed failure feature field fields file first following for format found from get
granted graph has have header here hour hours id ids if image in info information installed internal invalid
invalidated is isn it its json learn length less limit limited limiting link list live loaded logged login long longer
made make many match matched matching maximum may media message messages messaging messenger metadata method minute
minutes missing mode more must need new no node non none not number oauth object occurred of off old on one only
operation or other out outside page pages param parameter parameters password payload per permission permissions
person phone platform please policies policy post problem product proof property provided public quick rate reached
read reason reasons received receiving recently recipient recipients refused removed replies reply request requested
requests require required requires response retry review reviewed secret security seems send sender sending sent
server service session set should show size some something specified standard state status store string subscribed
subscription subscriptions such support supported system tag team template temporarily temporary testers text than
that the their there this thread time title to token too tos total tried try type unable unavailable unexpected
unknown unread unsupported until upload uploading url usage use used user users utility valid validating validation
value values version video violations wait was way web were what whatsapp when which who will window with within
without wrong you your
"""
PLATFORM_WORDS = frozenset(_WORDS.split())
