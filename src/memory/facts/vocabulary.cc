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

std::string attribute_predicate(std::string_view noun, bool& certain) {
    certain = true;
    for (const std::string_view present : {"new ", "current ", "present "}) {
        if (noun.starts_with(present)) noun.remove_prefix(present.size());
    }
    if (const std::string_view known = paired(kAttributes, noun); !known.empty()) {
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
