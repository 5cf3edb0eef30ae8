// Verbs and their forms.
#include <algorithm>
#include <array>

#include "memory/facts/vocabulary.h"

namespace memory::facts {
namespace {

struct VerbRow {
    std::string_view lemma, third, past, participle, progressive;
    bool noun = false;  ///< its present and its -ing are nouns as often, so they say nothing
};
/// Without a form where that is another word as well: "wedding".
constexpr auto kVerbs = std::to_array<VerbRow>({
    {"accept", "accepts", "accepted", "accepted", "accepting"},
    {"adopt", "adopts", "adopted", "adopted", "adopting"},
    {"adore", "adores", "adored", "adored", "adoring"},
    {"answer", "answers", "answered", "answered", "answering", true},
    {"attend", "attends", "attended", "attended", "attending"},
    {"become", "becomes", "became", "become", "becoming"},
    {"begin", "begins", "began", "begun", "beginning"},
    {"break", "breaks", "broke", "broken", "breaking", true},
    {"buy", "buys", "bought", "bought", "buying"},
    {"call", "calls", "called", "called", "calling", true},
    {"cancel", "cancels", "cancelled", "cancelled", "cancelling"},
    {"celebrate", "celebrates", "celebrated", "celebrated", "celebrating"},
    {"come", "comes", "came", "come", "coming"},
    {"complete", "completes", "completed", "completed", "completing"},
    {"detest", "detests", "detested", "detested", "detesting"},
    {"dislike", "dislikes", "disliked", "disliked", "disliking"},
    {"dismiss", "dismisses", "dismissed", "dismissed", "dismissing"},
    {"divorce", "divorces", "divorced", "divorced", "divorcing"},
    {"do", "", "", "done", "doing"},
    {"drive", "drives", "drove", "driven", "driving"},
    {"drop", "drops", "dropped", "dropped", "dropping"},
    {"earn", "earns", "earned", "earned", "earning"},
    {"elope", "elopes", "eloped", "eloped", "eloping"},
    {"emigrate", "emigrates", "emigrated", "emigrated", "emigrating"},
    {"employ", "employs", "employed", "employed", "employing"},
    {"end", "ends", "ended", "ended", "ending", true},
    {"enjoy", "enjoys", "enjoyed", "enjoyed", "enjoying"},
    {"enroll", "enrolls", "enrolled", "enrolled", "enrolling"},
    {"exchange", "exchanges", "exchanged", "exchanged", "exchanging"},
    {"expel", "expels", "expelled", "expelled", "expelling"},
    {"expire", "expires", "expired", "expired", "expiring"},
    {"fall", "falls", "fell", "fallen", "falling", true},
    {"find", "finds", "found", "found", "finding"},
    {"finish", "finishes", "finished", "finished", "finishing"},
    {"fire", "fires", "fired", "fired", "firing"},
    {"get", "gets", "got", "gotten", "getting"},
    {"give", "gives", "gave", "given", "giving"},
    {"go", "goes", "went", "gone", "going"},
    {"graduate", "graduates", "graduated", "graduated", "graduating"},
    {"grow", "grows", "grew", "grown", "growing"},
    {"hand", "hands", "handed", "handed", "handing"},
    {"hate", "hates", "hated", "hated", "hating"},
    {"have", "has", "had", "had", "having"},
    {"hire", "hires", "hired", "hired", "hiring"},
    {"hold", "holds", "held", "held", "holding"},
    {"immigrate", "immigrates", "immigrated", "immigrated", "immigrating"},
    {"intend", "intends", "intended", "intended", "intending"},
    {"join", "joins", "joined", "joined", "joining"},
    {"kick", "kicks", "kicked", "kicked", "kicking"},
    {"land", "lands", "landed", "landed", "landing", true},
    {"lay", "lays", "laid", "laid", "laying"},
    {"learn", "learns", "learned", "learned", "learning"},
    {"leave", "leaves", "left", "left", "leaving"},
    {"let", "lets", "let", "let", "letting"},
    {"like", "likes", "liked", "liked", "liking"},
    {"live", "lives", "lived", "lived", "living"},
    {"lose", "loses", "lost", "lost", "losing"},
    {"love", "loves", "loved", "loved", "loving"},
    {"major", "majors", "majored", "majored", "majoring"},
    {"marry", "marries", "married", "married", "marrying"},
    {"move", "moves", "moved", "moved", "moving"},
    {"occupy", "occupies", "occupied", "occupied", "occupying"},
    {"own", "owns", "owned", "owned", "owning"},
    {"part", "parts", "parted", "parted", "parting", true},
    {"plan", "plans", "planned", "planned", "planning"},
    {"play", "plays", "played", "played", "playing"},
    {"prefer", "prefers", "preferred", "preferred", "preferring"},
    {"pursue", "pursues", "pursued", "pursued", "pursuing"},
    {"put", "puts", "put", "put", "putting"},
    {"quit", "quits", "quit", "quit", "quitting"},
    {"recruit", "recruits", "recruited", "recruited", "recruiting"},
    {"relocate", "relocates", "relocated", "relocated", "relocating"},
    {"remarry", "remarries", "remarried", "remarried", "remarrying"},
    {"rent", "rents", "rented", "rented", "renting", true},
    {"resettle", "resettles", "resettled", "resettled", "resettling"},
    {"reside", "resides", "resided", "resided", "residing"},
    {"resign", "resigns", "resigned", "resigned", "resigning"},
    {"retire", "retires", "retired", "retired", "retiring"},
    {"return", "returns", "returned", "returned", "returning", true},
    {"sack", "sacks", "sacked", "sacked", "sacking"},
    {"sell", "sells", "sold", "sold", "selling"},
    {"separate", "separates", "separated", "separated", "separating"},
    {"settle", "settles", "settled", "settled", "settling"},
    {"share", "shares", "shared", "shared", "sharing", true},
    {"show", "shows", "showed", "shown", "showing", true},
    {"sign", "signs", "signed", "signed", "signing", true},
    {"speak", "speaks", "spoke", "spoken", "speaking"},
    {"split", "splits", "split", "split", "splitting"},
    {"start", "starts", "started", "started", "starting"},
    {"study", "studies", "studied", "studied", "studying"},
    {"take", "takes", "took", "taken", "taking"},
    {"tie", "ties", "tied", "tied", "tying"},
    {"tire", "tires", "tired", "tired", "tiring"},
    {"transfer", "transfers", "transferred", "transferred", "transferring"},
    {"use", "uses", "used", "used", "using"},
    {"vacate", "vacates", "vacated", "vacated", "vacating"},
    {"visit", "visits", "visited", "visited", "visiting"},
    {"walk", "walks", "walked", "walked", "walking", true},
    {"wed", "weds", "wed", "wed", ""},  // "wedding" is a noun
    {"withdraw", "withdraws", "withdrew", "withdrawn", "withdrawing"},
    {"work", "works", "worked", "worked", "working"},
});

}  // namespace

std::optional<VerbForm> verb_form(std::string_view word) {
    if (word.empty()) return std::nullopt;
    for (const VerbRow& verb : kVerbs) {
        if (word == verb.past) {  // "quit" reads as past: what matters is that it is over
            return VerbForm{verb.lemma, Tense::past};
        }
        if (word == verb.lemma) return VerbForm{verb.lemma, Tense::base, verb.noun};
        if (word == verb.third) return VerbForm{verb.lemma, Tense::third, verb.noun};
        if (word == verb.participle) return VerbForm{verb.lemma, Tense::participle};
        if (word == verb.progressive) return VerbForm{verb.lemma, Tense::progressive, verb.noun};
    }
    return std::nullopt;
}

}  // namespace memory::facts
