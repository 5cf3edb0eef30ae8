#include "memory/facts/english_words.h"

namespace memory::facts {

bool is_be(std::string_view word) {
    return one_of(word, {"am", "is", "are", "was", "were", "'s"});
}
bool is_auxiliary(std::string_view word) {
    return is_be(word) || one_of(word, {"has", "have", "had", "do", "does", "did", "can", "used",
                                        "no", "not", "never", "stopped", "began"});
}
bool is_article(std::string_view word) {
    return one_of(word, {"a", "an", "the", "some"});
}
bool is_preposition(std::string_view word) {
    return one_of(word, {"at", "in", "with", "to", "of", "for", "from", "on"});
}
bool is_determiner(std::string_view word) {
    return is_article(word) ||
           one_of(word, {"my", "his", "her", "their", "our", "your", "its", "new", "old", "first"});
}
bool is_slight(std::string_view word) {
    return one_of(word, {"own", "full-time", "part-time", "small", "tiny", "big", "large", "nice",
                         "great", "lovely", "little", "second", "permanent", "certain"});
}
bool is_possessive(std::string_view word) {
    return one_of(word, {"my", "your", "his", "her"});
}
bool is_colour(std::string_view text) {
    const std::size_t space = text.rfind(' ');
    const std::string_view last = space == text.npos ? text : text.substr(space + 1);
    return one_of(last, {"red",   "blue",     "green",  "yellow", "purple",  "orange",  "turquoise",
                         "black", "white",    "grey",   "gray",   "pink",    "brown",   "violet",
                         "beige", "lavender", "maroon", "indigo", "teal",    "gold",    "silver",
                         "cyan",  "burgundy", "mauve",  "lilac",  "scarlet", "crimson", "magenta"});
}
std::string lowered(std::string_view text) {
    std::string out;
    for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return out;
}
bool is_contact_verb(std::string_view word) {
    return one_of(word, {"reach", "call", "contact", "phone", "ring", "text", "message", "email",
                         "e-mail", "mail", "write"});
}
bool is_contacted(std::string_view word) {
    return one_of(word, {"reached", "called", "contacted", "phoned", "emailed", "e-mailed",
                         "texted", "messaged"});
}
bool is_contact_noun(std::string_view word) {
    return one_of(
        word, {"number", "line", "landline", "phone", "telephone", "mobile", "cell", "cellphone",
               "address", "account", "mailbox", "inbox", "mail", "email", "e-mail", "extension"});
}
std::string_view contact_predicate(std::string_view value) {
    const std::size_t at = value.find('@');
    if (at != std::string_view::npos) {
        return at > 0 && value.find('.', at) != std::string_view::npos ? "email" : "";
    }
    std::size_t digits = 0;
    for (const char c : value) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !one_of(std::string_view(&c, 1), {"+", "-", "(", ")", " ", "/", "."})) {
            return "";
        }
        digits += digit ? 1 : 0;
    }
    return digits >= 6 ? "phone" : "";
}
bool is_no_object(std::string_view word) {
    return one_of(
        word, {"it",      "this",   "that",     "there",   "here",       "them",      "him",
               "her",     "me",     "you",      "us",      "everything", "something", "anything",
               "nothing", "myself", "yourself", "himself", "herself",    "home",      "one",
               "how",     "what",   "when",     "your",    "their",      "our",       "these",
               "those",   "to",     "being",    "if",      "and",        "my",        "his",
               "its",     "him",    "of",       "not",     "all",        "each",      "about",
               "ever",    "ton",    "tons",     "lot",     "lots",       "bit",       "i",
               "we",      "they",   "he",       "she",     "like"});
}

}  // namespace memory::facts
