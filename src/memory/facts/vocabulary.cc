#include "memory/facts/vocabulary.h"

#include <algorithm>
#include <array>

namespace memory::facts {
namespace {

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
    {"phone number", "phone"},
    {"number", "phone"},
    {"best number", "phone"},
    {"mobile", "phone"},
    {"cell", "phone"},
    {"landline", "phone"},
    {"cell number", "phone"},
    {"cell phone number", "phone"},
    {"mobile phone number", "phone"},
    {"telephone number", "phone"},
    {"phone", "phone"},
    {"mail address", "email"},
    {"e-mail address", "email"},
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
    {"because",   "since",      "which",   "who",      "that",        "when",       "where",
     "while",     "so",         "but",     "although", "though",      "if",         "with",
     "near",      "as",         "anymore", "any",      "these",       "at",         "right",
     "again",     "instead",    "now",     "too",      "currently",   "than",       "over",
     "very",      "from",       "until",   "after",    "before",      "for",        "on",
     "then",      "or",         "not",     "together", "permanently", "last",       "every",
     "already",   "by",         "more",    "is",       "was",         "are",        "more",
     "whenever",  "especially", "behind",  "nowadays", "forever",     "altogether", "entirely",
     "completely"});

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

std::string_view owned_predicate(std::string_view noun) {
    return paired(kOwned, noun);
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
    for (const std::string_view best : {"favorite ", "best-loved ", "most-loved ", "preferred "}) {
        const bool other = best == "preferred " && (out.ends_with("name") || out.ends_with("uns"));
        if (out.starts_with(best) && !other) out.replace(0, best.size(), "favourite ");
    }
    if (out.ends_with(" of choice")) {
        out = "favourite " + out.substr(0, out.size() - std::string_view(" of choice").size());
    }
    if (out.ends_with(" color")) out.replace(out.size() - 5, 5, "colour");
    certain = out.starts_with("favourite ") || out.starts_with("preferred ");
    std::ranges::replace(out, ' ', '_');
    return out;
}

Cardinality cardinality_of(std::string_view predicate) {
    return in(kMany, predicate) ? Cardinality::many : Cardinality::one;
}

bool strip_past(std::string& noun) {
    for (const std::string_view past : {"former ", "previous ", "ex-", "ex "}) {
        if (!noun.starts_with(past)) continue;
        noun.erase(0, past.size());
        return true;
    }
    return false;
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
