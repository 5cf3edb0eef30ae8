#include "memory/facts/vocabulary.h"

#include <algorithm>
#include <array>

namespace memory::facts {
namespace {

struct VerbRow {
    std::string_view lemma, third, past, participle, progressive;
};
constexpr auto kVerbs = std::to_array<VerbRow>({
    {"adopt", "adopts", "adopted", "adopted", "adopting"},
    {"adore", "adores", "adored", "adored", "adoring"},
    {"attend", "attends", "attended", "attended", "attending"},
    {"become", "becomes", "became", "become", "becoming"},
    {"buy", "buys", "bought", "bought", "buying"},
    {"come", "comes", "came", "come", "coming"},
    {"detest", "detests", "detested", "detested", "detesting"},
    {"dislike", "dislikes", "disliked", "disliked", "disliking"},
    {"divorce", "divorces", "divorced", "divorced", "divorcing"},
    {"drive", "drives", "drove", "driven", "driving"},
    {"enjoy", "enjoys", "enjoyed", "enjoyed", "enjoying"},
    {"enroll", "enrolls", "enrolled", "enrolled", "enrolling"},
    {"get", "gets", "got", "gotten", "getting"},
    {"go", "goes", "went", "gone", "going"},
    {"graduate", "graduates", "graduated", "graduated", "graduating"},
    {"grow", "grows", "grew", "grown", "growing"},
    {"hate", "hates", "hated", "hated", "hating"},
    {"have", "has", "had", "had", "having"},
    {"intend", "intends", "intended", "intended", "intending"},
    {"join", "joins", "joined", "joined", "joining"},
    {"learn", "learns", "learned", "learned", "learning"},
    {"leave", "leaves", "left", "left", "leaving"},
    {"like", "likes", "liked", "liked", "liking"},
    {"live", "lives", "lived", "lived", "living"},
    {"love", "loves", "loved", "loved", "loving"},
    {"major", "majors", "majored", "majored", "majoring"},
    {"marry", "marries", "married", "married", "marrying"},
    {"move", "moves", "moved", "moved", "moving"},
    {"own", "owns", "owned", "owned", "owning"},
    {"plan", "plans", "planned", "planned", "planning"},
    {"play", "plays", "played", "played", "playing"},
    {"prefer", "prefers", "preferred", "preferred", "preferring"},
    {"quit", "quits", "quit", "quit", "quitting"},
    {"relocate", "relocates", "relocated", "relocated", "relocating"},
    {"reside", "resides", "resided", "resided", "residing"},
    {"resign", "resigns", "resigned", "resigned", "resigning"},
    {"retire", "retires", "retired", "retired", "retiring"},
    {"sell", "sells", "sold", "sold", "selling"},
    {"settle", "settles", "settled", "settled", "settling"},
    {"speak", "speaks", "spoke", "spoken", "speaking"},
    {"start", "starts", "started", "started", "starting"},
    {"study", "studies", "studied", "studied", "studying"},
    {"use", "uses", "used", "used", "using"},
    {"visit", "visits", "visited", "visited", "visiting"},
    {"work", "works", "worked", "worked", "working"},
    {"accept", "accepts", "accepted", "accepted", "accepting"},
    {"cancel", "cancels", "cancelled", "cancelled", "cancelling"},
    {"dismiss", "dismisses", "dismissed", "dismissed", "dismissing"},
    {"drop", "drops", "dropped", "dropped", "dropping"},
    {"emigrate", "emigrates", "emigrated", "emigrated", "emigrating"},
    {"employ", "employs", "employed", "employed", "employing"},
    {"exchange", "exchanges", "exchanged", "exchanged", "exchanging"},
    {"expel", "expels", "expelled", "expelled", "expelling"},
    {"fire", "fires", "fired", "fired", "firing"},
    {"give", "gives", "gave", "given", "giving"},
    {"hand", "hands", "handed", "handed", "handing"},
    {"hire", "hires", "hired", "hired", "hiring"},
    {"hold", "holds", "held", "held", "holding"},
    {"immigrate", "immigrates", "immigrated", "immigrated", "immigrating"},
    {"lay", "lays", "laid", "laid", "laying"},
    {"let", "lets", "let", "let", "letting"},
    {"lose", "loses", "lost", "lost", "losing"},
    {"recruit", "recruits", "recruited", "recruited", "recruiting"},
    {"remarry", "remarries", "remarried", "remarried", "remarrying"},
    {"resettle", "resettles", "resettled", "resettled", "resettling"},
    {"sack", "sacks", "sacked", "sacked", "sacking"},
    {"separate", "separates", "separated", "separated", "separating"},
    {"split", "splits", "split", "split", "splitting"},
    {"take", "takes", "took", "taken", "taking"},
    {"tie", "ties", "tied", "tied", "tying"},
    {"transfer", "transfers", "transferred", "transferred", "transferring"},
    {"wed", "weds", "wed", "wed", ""},  // "wedding" is a noun
});

using enum Effect;
constexpr auto kFrames = std::to_array<Frame>({
    {"live", "in", "lives_in", state},
    {"reside", "in", "lives_in", state},
    {"be", "based in", "lives_in", state, ObjectKind::name},
    {"move", "to", "lives_in", begin, ObjectKind::name},
    {"move", "back to", "lives_in", begin, ObjectKind::name},
    {"relocate", "to", "lives_in", begin, ObjectKind::name},
    {"settle", "in", "lives_in", begin, ObjectKind::name},
    {"settle", "down in", "lives_in", begin, ObjectKind::name},
    {"move", "out of", "lives_in", end, ObjectKind::name},
    {"move", "away from", "lives_in", end, ObjectKind::name},
    {"be", "from", "comes_from", state, ObjectKind::name},
    {"come", "from", "comes_from", state, ObjectKind::name},
    {"grow", "up in", "grew_up_in", event, ObjectKind::name},
    {"work", "at", "works_at", state},
    {"work", "for", "works_at", state, ObjectKind::name},
    {"be", "employed at", "works_at", state},
    {"be", "employed by", "works_at", state},
    {"be", "hired by", "works_at", begin, ObjectKind::name},
    {"get", "hired by", "works_at", begin, ObjectKind::name},
    {"get", "a job at", "works_at", begin},
    {"start", "at", "works_at", begin, ObjectKind::name},
    {"start", "a job at", "works_at", begin},
    {"start", "a new job at", "works_at", begin},
    {"join", "", "works_at", begin, ObjectKind::name, .7f},
    {"leave", "", "works_at", end, ObjectKind::name, .7f},
    {"leave", "my job at", "works_at", end},
    {"quit", "my job at", "works_at", end},
    {"quit", "", "works_at", end, ObjectKind::name},
    {"resign", "from", "works_at", end, ObjectKind::name},
    {"retire", "from", "works_at", end, ObjectKind::name},
    {"be", "fired from", "works_at", end, ObjectKind::name},
    {"be", "fired by", "works_at", end, ObjectKind::name},
    {"be", "laid off from", "works_at", end, ObjectKind::name},
    {"be", "laid off by", "works_at", end, ObjectKind::name},
    {"get", "laid off from", "works_at", end, ObjectKind::name},
    {"work", "as", "works_as", state},
    {"be", "married to", "married_to", state, ObjectKind::name},
    {"marry", "", "married_to", begin, ObjectKind::name},
    {"get", "married to", "married_to", begin, ObjectKind::name},
    {"divorce", "", "married_to", end, ObjectKind::name},
    {"get", "divorced from", "married_to", end, ObjectKind::name},
    {"be", "divorced from", "married_to", end, ObjectKind::name},
    {"be", "engaged to", "engaged_to", state, ObjectKind::name},
    {"get", "engaged to", "engaged_to", begin, ObjectKind::name},
    {"be", "called", "name", state, ObjectKind::name},
    {"be", "named", "name", state, ObjectKind::name},
    {"go", "by", "name", state, ObjectKind::name},
    {"like", "", "likes", state},
    {"love", "", "likes", state},
    {"enjoy", "", "likes", state},
    {"adore", "", "likes", state},
    {"be", "fond of", "likes", state},
    {"be", "a fan of", "likes", state},
    {"be", "a big fan of", "likes", state},
    {"hate", "", "dislikes", state},
    {"dislike", "", "dislikes", state},
    {"detest", "", "dislikes", state},
    {"prefer", "", "prefers", state},
    {"be", "allergic to", "allergic_to", state},
    {"have", "an allergy to", "allergic_to", state},
    {"have", "a", "", state, ObjectKind::owned},
    {"have", "an", "", state, ObjectKind::owned},
    {"have", "one", "", state, ObjectKind::owned},
    {"adopt", "a", "", begin, ObjectKind::owned},
    {"get", "a", "", begin, ObjectKind::owned},
    {"be", "born on", "born_on", event, ObjectKind::date},
    {"be", "born in", "born_in", event, ObjectKind::name},
    {"own", "", "owns", state},
    {"buy", "", "owns", begin},
    {"sell", "", "owns", end},
    {"drive", "a", "drives", state},
    {"drive", "an", "drives", state},
    {"study", "at", "studies_at", state},
    {"enroll", "at", "studies_at", begin, ObjectKind::name},
    {"enroll", "in", "studies_at", begin, ObjectKind::name},
    {"study", "", "studies", state},
    {"major", "in", "studies", state},
    {"graduate", "from", "graduated_from", event, ObjectKind::name},
    {"speak", "", "speaks", state, ObjectKind::name},
    {"learn", "", "learns", state},
    {"play", "", "plays", state},
    {"attend", "", "attended", event},
    {"visit", "", "visited", event, ObjectKind::name},
    {"plan", "to", "plans_to", intent},
    {"be", "planning to", "plans_to", intent},
    {"intend", "to", "plans_to", intent},
    {"move", "over to", "lives_in", begin, ObjectKind::name},
    {"move", "up to", "lives_in", begin, ObjectKind::name},
    {"move", "down to", "lives_in", begin, ObjectKind::name},
    {"move", "into", "lives_in", begin, ObjectKind::name},
    {"emigrate", "to", "lives_in", begin, ObjectKind::name},
    {"immigrate", "to", "lives_in", begin, ObjectKind::name},
    {"resettle", "in", "lives_in", begin, ObjectKind::name},
    {"take", "up residence in", "lives_in", begin, ObjectKind::name},
    {"be", "settled in", "lives_in", state, ObjectKind::name},
    {"be", "~ resident of", "lives_in", state, ObjectKind::name},
    {"be", "resident in", "lives_in", state, ObjectKind::name},
    {"give", "up ~ flat in", "lives_in", end, ObjectKind::name},
    {"give", "up ~ apartment in", "lives_in", end, ObjectKind::name},
    {"give", "up ~ house in", "lives_in", end, ObjectKind::name},
    {"give", "up ~ home in", "lives_in", end, ObjectKind::name},
    {"give", "up ~ place in", "lives_in", end, ObjectKind::name},
    {"give", "up ~ room in", "lives_in", end, ObjectKind::name},
    {"emigrate", "from", "lives_in", end, ObjectKind::name},
    {"take", "~ job at", "works_at", begin, ObjectKind::name},
    {"accept", "~ job at", "works_at", begin, ObjectKind::name},
    {"get", "~ job at", "works_at", begin, ObjectKind::name},
    {"start", "~ job at", "works_at", begin, ObjectKind::name},
    {"have", "~ job at", "works_at", state, ObjectKind::name},
    {"hold", "~ job at", "works_at", state, ObjectKind::name},
    {"leave", "~ job at", "works_at", end, ObjectKind::name},
    {"quit", "~ job at", "works_at", end, ObjectKind::name},
    {"lose", "~ job at", "works_at", end, ObjectKind::name},
    {"give", "up ~ job at", "works_at", end, ObjectKind::name},
    {"take", "~ job with", "works_at", begin, ObjectKind::name},
    {"accept", "~ job with", "works_at", begin, ObjectKind::name},
    {"get", "~ job with", "works_at", begin, ObjectKind::name},
    {"start", "~ job with", "works_at", begin, ObjectKind::name},
    {"have", "~ job with", "works_at", state, ObjectKind::name},
    {"hold", "~ job with", "works_at", state, ObjectKind::name},
    {"leave", "~ job with", "works_at", end, ObjectKind::name},
    {"quit", "~ job with", "works_at", end, ObjectKind::name},
    {"lose", "~ job with", "works_at", end, ObjectKind::name},
    {"give", "up ~ job with", "works_at", end, ObjectKind::name},
    {"take", "~ position at", "works_at", begin, ObjectKind::name},
    {"accept", "~ position at", "works_at", begin, ObjectKind::name},
    {"get", "~ position at", "works_at", begin, ObjectKind::name},
    {"start", "~ position at", "works_at", begin, ObjectKind::name},
    {"have", "~ position at", "works_at", state, ObjectKind::name},
    {"hold", "~ position at", "works_at", state, ObjectKind::name},
    {"leave", "~ position at", "works_at", end, ObjectKind::name},
    {"quit", "~ position at", "works_at", end, ObjectKind::name},
    {"lose", "~ position at", "works_at", end, ObjectKind::name},
    {"give", "up ~ position at", "works_at", end, ObjectKind::name},
    {"take", "~ position with", "works_at", begin, ObjectKind::name},
    {"accept", "~ position with", "works_at", begin, ObjectKind::name},
    {"get", "~ position with", "works_at", begin, ObjectKind::name},
    {"start", "~ position with", "works_at", begin, ObjectKind::name},
    {"have", "~ position with", "works_at", state, ObjectKind::name},
    {"hold", "~ position with", "works_at", state, ObjectKind::name},
    {"leave", "~ position with", "works_at", end, ObjectKind::name},
    {"quit", "~ position with", "works_at", end, ObjectKind::name},
    {"lose", "~ position with", "works_at", end, ObjectKind::name},
    {"give", "up ~ position with", "works_at", end, ObjectKind::name},
    {"take", "~ post at", "works_at", begin, ObjectKind::name},
    {"accept", "~ post at", "works_at", begin, ObjectKind::name},
    {"get", "~ post at", "works_at", begin, ObjectKind::name},
    {"start", "~ post at", "works_at", begin, ObjectKind::name},
    {"have", "~ post at", "works_at", state, ObjectKind::name},
    {"hold", "~ post at", "works_at", state, ObjectKind::name},
    {"leave", "~ post at", "works_at", end, ObjectKind::name},
    {"quit", "~ post at", "works_at", end, ObjectKind::name},
    {"lose", "~ post at", "works_at", end, ObjectKind::name},
    {"give", "up ~ post at", "works_at", end, ObjectKind::name},
    {"take", "~ post with", "works_at", begin, ObjectKind::name},
    {"accept", "~ post with", "works_at", begin, ObjectKind::name},
    {"get", "~ post with", "works_at", begin, ObjectKind::name},
    {"start", "~ post with", "works_at", begin, ObjectKind::name},
    {"have", "~ post with", "works_at", state, ObjectKind::name},
    {"hold", "~ post with", "works_at", state, ObjectKind::name},
    {"leave", "~ post with", "works_at", end, ObjectKind::name},
    {"quit", "~ post with", "works_at", end, ObjectKind::name},
    {"lose", "~ post with", "works_at", end, ObjectKind::name},
    {"give", "up ~ post with", "works_at", end, ObjectKind::name},
    {"accept", "~ offer from", "works_at", begin, ObjectKind::name},
    {"take", "up ~ post at", "works_at", begin, ObjectKind::name},
    {"be", "on ~ payroll of", "works_at", state, ObjectKind::name},
    {"be", "on ~ payroll at", "works_at", state, ObjectKind::name},
    {"be", "on ~ staff of", "works_at", state, ObjectKind::name},
    {"be", "on ~ staff at", "works_at", state, ObjectKind::name},
    {"be", "~ employee of", "works_at", state, ObjectKind::name},
    {"be", "~ employee at", "works_at", state, ObjectKind::name},
    {"be", "employed with", "works_at", state, ObjectKind::name},
    {"be", "recruited by", "works_at", begin, ObjectKind::name},
    {"get", "recruited by", "works_at", begin, ObjectKind::name},
    {"be", "taken on by", "works_at", begin, ObjectKind::name},
    {"get", "taken on by", "works_at", begin, ObjectKind::name},
    {"be", "let go by", "works_at", end, ObjectKind::name},
    {"get", "let go by", "works_at", end, ObjectKind::name},
    {"be", "let go from", "works_at", end, ObjectKind::name},
    {"get", "let go from", "works_at", end, ObjectKind::name},
    {"be", "dismissed by", "works_at", end, ObjectKind::name},
    {"get", "dismissed by", "works_at", end, ObjectKind::name},
    {"be", "dismissed from", "works_at", end, ObjectKind::name},
    {"get", "dismissed from", "works_at", end, ObjectKind::name},
    {"be", "sacked by", "works_at", end, ObjectKind::name},
    {"get", "sacked by", "works_at", end, ObjectKind::name},
    {"be", "sacked from", "works_at", end, ObjectKind::name},
    {"get", "sacked from", "works_at", end, ObjectKind::name},
    {"be", "made redundant by", "works_at", end, ObjectKind::name},
    {"get", "made redundant by", "works_at", end, ObjectKind::name},
    {"be", "made redundant from", "works_at", end, ObjectKind::name},
    {"get", "made redundant from", "works_at", end, ObjectKind::name},
    {"be", "fired by", "works_at", end, ObjectKind::name},
    {"get", "fired by", "works_at", end, ObjectKind::name},
    {"be", "fired from", "works_at", end, ObjectKind::name},
    {"get", "fired from", "works_at", end, ObjectKind::name},
    {"be", "laid off by", "works_at", end, ObjectKind::name},
    {"get", "laid off by", "works_at", end, ObjectKind::name},
    {"be", "laid off from", "works_at", end, ObjectKind::name},
    {"get", "laid off from", "works_at", end, ObjectKind::name},
    {"hand", "in ~ notice at", "works_at", end, ObjectKind::name},
    {"give", "~ notice at", "works_at", end, ObjectKind::name},
    {"be", "~ wife of", "married_to", state, ObjectKind::name},
    {"be", "~ husband of", "married_to", state, ObjectKind::name},
    {"be", "wed to", "married_to", state, ObjectKind::name},
    {"wed", "", "married_to", begin, ObjectKind::name},
    {"tie", "the knot with", "married_to", begin, ObjectKind::name},
    {"exchange", "vows with", "married_to", begin, ObjectKind::name},
    {"separate", "from", "married_to", end, ObjectKind::name},
    {"be", "enrolled at", "studies_at", state, ObjectKind::name},
    {"be", "enrolled in", "studies_at", state, ObjectKind::name},
    {"be", "~ student at", "studies_at", state, ObjectKind::name},
    {"go", "to university at", "studies_at", state, ObjectKind::name},
    {"go", "to school at", "studies_at", state, ObjectKind::name},
    {"go", "to college at", "studies_at", state, ObjectKind::name},
    {"drop", "out of", "studies_at", end, ObjectKind::name},
    {"be", "expelled from", "studies_at", end, ObjectKind::name},
    {"get", "expelled from", "studies_at", end, ObjectKind::name},
    {"give", "up ~ number", "phone", end, ObjectKind::any},
    {"cancel", "~ number", "phone", end, ObjectKind::any},
    {"give", "up ~ phone number", "phone", end, ObjectKind::any},
    {"cancel", "~ phone number", "phone", end, ObjectKind::any},
    {"give", "up ~ mobile number", "phone", end, ObjectKind::any},
    {"cancel", "~ mobile number", "phone", end, ObjectKind::any},
    {"give", "up ~ email address", "email", end, ObjectKind::any},
    {"hire", "", "works_at", begin, ObjectKind::name, .8f, true},
    {"recruit", "", "works_at", begin, ObjectKind::name, .8f, true},
    {"employ", "", "works_at", state, ObjectKind::name, .8f, true},
    {"fire", "", "works_at", end, ObjectKind::name, .8f, true},
    {"dismiss", "", "works_at", end, ObjectKind::name, .8f, true},
    {"sack", "", "works_at", end, ObjectKind::name, .8f, true},
    {"lay", "off", "works_at", end, ObjectKind::name, .8f, true},
});

constexpr auto kMutual = std::to_array<Frame>({
    {"marry", "", "married_to", begin},
    {"wed", "", "married_to", begin},
    {"get", "married", "married_to", begin},
    {"be", "married", "married_to", state},
    {"tie", "the knot", "married_to", begin},
    {"get", "hitched", "married_to", begin},
    {"exchange", "vows", "married_to", begin},
    {"get", "engaged", "engaged_to", begin},
    {"be", "engaged", "engaged_to", state},
    {"divorce", "", "married_to", end},
    {"get", "divorced", "married_to", end},
    {"be", "divorced", "married_to", end},
    {"split", "up", "married_to", end},
    {"separate", "", "married_to", end},
});

struct Pair {
    std::string_view from, to;
};
constexpr auto kOwned = std::to_array<Pair>({
    {"son", "has_child"},      {"daughter", "has_child"},
    {"child", "has_child"},    {"baby", "has_child"},
    {"dog", "has_pet"},        {"cat", "has_pet"},
    {"puppy", "has_pet"},      {"kitten", "has_pet"},
    {"parrot", "has_pet"},     {"rabbit", "has_pet"},
    {"hamster", "has_pet"},    {"horse", "has_pet"},
    {"turtle", "has_pet"},     {"brother", "has_sibling"},
    {"sister", "has_sibling"}, {"twin", "has_sibling"},
    {"car", "owns"},           {"bike", "owns"},
    {"motorcycle", "owns"},    {"boat", "owns"},
    {"house", "owns"},
});

/// Nouns whose value is kept whatever it looks like, and the name they go by.
constexpr auto kAttributes = std::to_array<Pair>({
    {"name", "name"},
    {"full name", "name"},
    {"nickname", "nickname"},
    {"email", "email"},
    {"e-mail", "email"},
    {"email address", "email"},
    {"phone", "phone"},
    {"phone number", "phone"},
    {"number", "phone"},
    {"mobile number", "phone"},
    {"address", "address"},
    {"home address", "address"},
    {"birthday", "birthday"},
    {"birth date", "birthday"},
    {"date of birth", "birthday"},
    {"hometown", "comes_from"},
    {"home town", "comes_from"},
    {"nationality", "nationality"},
    {"age", "age"},
    {"height", "height"},
    {"job title", "works_as"},
    {"occupation", "works_as"},
    {"profession", "works_as"},
    {"employer", "works_at"},
    {"native language", "native_language"},
    {"mother tongue", "native_language"},
    {"time zone", "time_zone"},
    {"timezone", "time_zone"},
    {"blood type", "blood_type"},
    {"shoe size", "shoe_size"},
    {"hobby", "hobby"},
    {"major", "studies"},
    {"wife", "married_to"},
    {"husband", "married_to"},
    {"spouse", "married_to"},
});

/// Nouns whose value is kept where it looks like a name.
constexpr auto kPlaces = std::to_array<Pair>({
    {"home", "lives_in"},
    {"residence", "lives_in"},
    {"home city", "lives_in"},
    {"place of residence", "lives_in"},
    {"workplace", "works_at"},
    {"place of work", "works_at"},
    {"university", "studies_at"},
    {"college", "studies_at"},
});

constexpr auto kEnded = std::to_array<Pair>({
    {"days at", "works_at"},
    {"time at", "works_at"},
    {"years at", "works_at"},
    {"job at", "works_at"},
    {"job with", "works_at"},
    {"career at", "works_at"},
    {"employment at", "works_at"},
    {"employment with", "works_at"},
    {"contract with", "works_at"},
    {"studies at", "studies_at"},
    {"marriage to", "married_to"},
    {"marriage with", "married_to"},
    {"days in", "lives_in"},
    {"time in", "lives_in"},
    {"life in", "lives_in"},
});

constexpr auto kMany = std::to_array<std::string_view>(
    {"allergic_to", "attended", "dislikes", "graduated_from", "has_child", "has_pet", "has_sibling",
     "hobby", "learns", "likes", "owns", "plans_to", "plays", "prefers", "speaks", "studies",
     "uses", "visited"});

constexpr auto kAdverbs = std::to_array<std::string_view>(
    {"actually",   "again",      "already",    "also",       "always",     "anyway",  "basically",
     "both",       "currently",  "definitely", "especially", "finally",    "just",    "mainly",
     "mostly",     "now",        "nowadays",   "oh",         "okay",       "ok",      "only",
     "presently",  "previously", "really",     "recently",   "simply",     "still",   "then",
     "though",     "too",        "truly",      "usually",    "well",       "yes",     "yeah",
     "hi",         "hello",      "hey",        "so",         "absolutely", "totally", "permanently",
     "officially", "happily",    "btw"});

constexpr auto kEndsObject = std::to_array<std::string_view>(
    {"because", "since",     "which",     "who",    "that",  "when",  "where",    "while",
     "so",      "but",       "although",  "though", "if",    "with",  "near",     "as",
     "anymore", "any",       "these",     "at",     "right", "again", "instead",  "now",
     "too",     "currently", "than",      "over",   "very",  "from",  "until",    "after",
     "before",  "for",       "on",        "then",   "or",    "not",   "together", "permanently",
     "last",    "every",     "already",   "by",     "more",  "is",    "was",      "are",
     "more",    "whenever",  "especially"});

constexpr auto kDoubt = std::to_array<std::string_view>(
    {"if",      "whether", "unless",  "would",    "could",      "might",      "may",
     "should",  "maybe",   "perhaps", "probably", "possibly",   "imagine",    "suppose",
     "pretend", "wish",    "hope",    "hopes",    "wonder",     "think",      "thinks",
     "thought", "guess",   "heard",   "almost",   "nearly",     "seems",      "considering",
     "dream",   "dreamed", "will",    "rumor",    "apparently", "supposedly", "joking",
     "kidding", "said",    "says",    "claims",   "told",       "asked",      "say",
     "wants",   "want",    "wanted",  "rather"});

constexpr auto kNoName = std::to_array<std::string_view>(
    {"a",         "an",       "the",    "this",     "that",    "these",     "those",
     "it",        "its",      "there",  "here",     "we",      "our",       "they",
     "their",     "them",     "he",     "his",      "him",     "she",       "her",
     "who",       "what",     "when",   "where",    "why",     "how",       "which",
     "and",       "but",      "or",     "so",       "if",      "in",        "on",
     "at",        "for",      "from",   "to",       "since",   "until",     "after",
     "before",    "as",       "by",     "of",       "with",    "no",        "not",
     "never",     "some",     "any",    "many",     "most",    "all",       "everyone",
     "everybody", "someone",  "nobody", "people",   "one",     "my",        "your",
     "i",         "you",      "is",     "are",      "was",     "were",      "do",
     "does",      "did",      "has",    "have",     "please",  "thanks",    "thank",
     "let",       "mr",       "mrs",    "ms",       "dr",      "monday",    "tuesday",
     "wednesday", "thursday", "friday", "saturday", "sunday",  "january",   "february",
     "march",     "april",    "june",   "july",     "august",  "september", "october",
     "november",  "december", "last",   "next",     "nothing", "something", "everything",
     "both",      "each",     "sorry",  "note",     "today",   "yesterday", "between"});

constexpr auto kJudgements = std::to_array<std::string_view>(
    {"very",    "so",     "too",     "great",     "good",     "bad",     "nice",    "fine",
     "happy",   "sad",    "sick",    "tired",     "busy",     "ready",   "here",    "there",
     "not",     "really", "amazing", "awesome",   "terrible", "wrong",   "right",   "important",
     "better",  "best",   "worse",   "worst",     "sure",     "ok",      "okay",    "gone",
     "in",      "at",     "on",      "to",        "about",    "going",   "getting", "coming",
     "always",  "never",  "still",   "now",       "what",     "that",    "this",    "it",
     "because", "why",    "how",     "where",     "when",     "when",    "also",    "no",
     "private", "secret", "unknown", "different", "changing", "missing", "broken",  "new",
     "old",     "like",   "hard",    "easy",      "between",  "with",    "from",    "for",
     "of",      "my",     "your",    "one",       "full"});

constexpr auto kOccupations = std::to_array<std::string_view>(
    {"accountant",  "actor",        "architect",  "artist",       "baker",     "barber",
     "carpenter",   "chef",         "chemist",    "cook",         "dancer",    "dentist",
     "designer",    "developer",    "doctor",     "driver",       "economist", "editor",
     "electrician", "engineer",     "farmer",     "firefighter",  "gardener",  "journalist",
     "judge",       "lawyer",       "librarian",  "manager",      "mechanic",  "musician",
     "nurse",       "painter",      "pharmacist", "photographer", "physicist", "pilot",
     "plumber",     "professor",    "programmer", "researcher",   "scientist", "singer",
     "surgeon",     "surveyor",     "tailor",     "teacher",      "therapist", "translator",
     "vet",         "veterinarian", "waiter",     "waitress",     "welder",    "writer"});

template <class List>
bool in(const List& list, std::string_view word) {
    return std::ranges::find(list, word) != list.end();
}

template <class List>
std::string_view paired(const List& list, std::string_view from) {
    const auto found = std::ranges::find(list, from, &Pair::from);
    return found == list.end() ? std::string_view() : found->to;
}

}  // namespace

std::optional<VerbForm> verb_form(std::string_view word) {
    for (const VerbRow& verb : kVerbs) {
        if (word == verb.past) {  // "quit" reads as past: what matters is that it is over
            return VerbForm{verb.lemma, Tense::past};
        }
        if (word == verb.lemma) return VerbForm{verb.lemma, Tense::base};
        if (word == verb.third) return VerbForm{verb.lemma, Tense::third};
        if (word == verb.participle) return VerbForm{verb.lemma, Tense::participle};
        if (word == verb.progressive) return VerbForm{verb.lemma, Tense::progressive};
    }
    return std::nullopt;
}

std::span<const Frame> frames() {
    return kFrames;
}

std::string_view owned_predicate(std::string_view noun) {
    return paired(kOwned, noun);
}

std::span<const Frame> mutual_frames() {
    return kMutual;
}

std::string_view ended_predicate(std::string_view noun) {
    return paired(kEnded, noun);
}

std::string singular(std::string_view noun) {
    if (noun.ends_with("ies")) return std::string(noun.substr(0, noun.size() - 3)) + "y";
    for (const std::string_view end : {"ches", "shes", "sses", "xes"}) {
        if (noun.ends_with(end)) return std::string(noun.substr(0, noun.size() - 2));
    }
    const bool plural = noun.ends_with('s') && !noun.ends_with("ss") && !noun.ends_with("us");
    return std::string(noun.substr(0, noun.size() - (plural ? 1 : 0)));
}

std::string attribute_predicate(std::string_view noun, bool& certain, bool& place) {
    certain = true;
    place = false;
    for (const std::string_view present : {"new ", "current ", "present "}) {
        if (noun.starts_with(present)) noun.remove_prefix(present.size());
    }
    if (const std::string_view known = paired(kAttributes, noun); !known.empty()) {
        return std::string(known);
    }
    if (const std::string_view known = paired(kPlaces, noun); !known.empty()) {
        certain = false;
        place = true;
        return std::string(known);
    }
    std::string out(noun);
    if (out.starts_with("favorite ")) out.replace(0, 8, "favourite");
    if (out.ends_with(" color")) out.replace(out.size() - 5, 5, "colour");
    certain = out.starts_with("favourite ") || out.starts_with("preferred ");
    std::ranges::replace(out, ' ', '_');
    return out;
}

Cardinality cardinality_of(std::string_view predicate) {
    return in(kMany, predicate) ? Cardinality::many : Cardinality::one;
}

bool is_adverb(std::string_view word) {
    return in(kAdverbs, word);
}
bool ends_object(std::string_view word) {
    return in(kEndsObject, word);
}
bool is_doubt(std::string_view word) {
    return in(kDoubt, word);
}
bool is_no_name(std::string_view word) {
    return in(kNoName, word) || is_adverb(word) || is_doubt(word);
}
bool is_judgement(std::string_view word) {
    return in(kJudgements, word);
}
bool is_occupation(std::string_view noun) {
    return in(kOccupations, noun);
}

}  // namespace memory::facts
