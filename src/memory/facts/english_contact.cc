// How somebody is reached: what is an address or a number tells which, whatever the words.
#include <algorithm>
#include <utility>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"

namespace memory::facts {

/// "at ann@example.org", "under +49301234567".
std::optional<std::string> ClauseReader::read_contact_value(std::string_view& predicate) {
    if (!one_of(at(i_), {"at", "on", "under", "via", "by"})) return std::nullopt;
    ++i_;
    while (one_of(at(i_), {"the", "number", "address", "email", "phone"})) ++i_;
    auto value = read_object(ObjectKind::any, false);
    if (!value) return std::nullopt;
    predicate = contact_predicate(*value);
    return predicate.empty() ? std::nullopt : value;
}

/// "You can reach Ann at ...", "Call me on ...": whom, and what is told by the value alone.
bool ClauseReader::read_contact() {
    const std::size_t begin = i_;
    while (one_of(at(i_), {"you", "can", "please"}) || is_adverb(at(i_))) ++i_;
    chain_ = {};
    chain_.ended = is_over();
    const bool can = i_ == begin || one_of(at(i_ - 1), {"can", "please"}) || is_adverb(at(i_ - 1));
    if (can && is_contact_verb(at(i_))) {
        ++i_;
        if (at(i_) == "to") ++i_;
        std::string_view predicate;
        if (const auto person = read_person()) {
            if (auto value = read_contact_value(predicate)) {
                subject_ = *person;
                emit(predicate, std::move(*value), Effect::state, .85f);
                return true;
            }
        }
    }
    i_ = begin;
    chain_ = {};
    return false;
}

/// "You can find Ann in Rome these days".
bool ClauseReader::read_found() {
    const std::size_t begin = i_;
    while (one_of(at(i_), {"you", "can", "will"}) || is_adverb(at(i_))) ++i_;
    const bool nowadays = std::ranges::any_of(words_, [](const Word& word) {
        return one_of(word.lower, {"nowadays", "now", "these", "currently"});
    });
    if (i_ > begin && nowadays && !is_over() && at(i_) == "find") {
        ++i_;
        const auto person = read_person();
        if (person && at(i_) == "in") {
            ++i_;
            if (auto place = read_object(ObjectKind::name, false)) {
                subject_ = *person;
                emit("lives_in", std::move(*place), Effect::state, .7f);
                return true;
            }
        }
    }
    i_ = begin;
    return false;
}

/// Whether the words from `first` on tie `person` to the address or number at `value`: who asks to
/// use it, whose it is, or who uses it. "Ann called 555-0100" does none of that.
bool ClauseReader::is_told_of(std::size_t first, std::size_t person, std::size_t value) const {
    const auto is_order = [](std::string_view word) {
        return is_contact_verb(word) || one_of(word, {"dial", "send"});
    };
    std::size_t i = first;
    if (at(i) == "you" && one_of(at(i + 1), {"can", "may"})) i += 2;
    while (one_of(at(i), {"to", "do", "not", "never", "no", "longer", "please"})) ++i;
    const bool message = one_of(
        at(i), {"mail", "email", "emails", "e-mail", "e-mails", "messages", "letters", "calls"});
    if (message) {
        return std::ranges::any_of(words_, [](const Word& word) {
            return one_of(word.lower, {"reach", "reaches", "go", "goes", "arrive", "arrives",
                                       "bounce", "bounces", "bounced", "at", "to", "via"});
        });
    }
    if (is_order(at(i))) return true;
    const bool noun = std::any_of(words_.begin(), words_.end(),
                                  [](const Word& word) { return is_contact_noun(word.lower); });
    if (one_of(at(first), {"the", "that"})) return noun && person > first;
    if (person != first || one_of(at(value - 1), {"from", "with", "of", "called"})) return false;
    std::size_t verb = first + std::max<std::size_t>(1, name_run(first));
    if (at(verb) == "'s") return noun;
    while (is_adverb(at(verb)) || one_of(at(verb), {"has", "have", "is", "does", "do", "not", "no",
                                                    "longer", "started"})) {
        ++verb;
    }
    return one_of(at(verb), {"use",     "uses",    "using", "a",         "got",         "reads",
                             "answers", "checks",  "picks", "switched",  "changed",     "moved",
                             "took",    "stopped", "quit",  "closed",    "cancelled",   "canceled",
                             "dropped", "gave",    "given", "abandoned", "deactivated", "deleted",
                             "reached", "on"});
}

/// Whatever words there are: one address or number, one person, and something that ties the two.
bool ClauseReader::read_way() {
    std::size_t value = words_.size(), first = 0, person = words_.size();
    std::string_view predicate;
    for (std::size_t i = 0; i < words_.size(); ++i) {
        const std::string_view one = contact_predicate(at(i));
        if (one.empty()) continue;
        if (value < words_.size()) return false;
        value = i;
        predicate = one;
    }
    if (value == words_.size()) return false;
    while (first < words_.size() && (words_[first].time || words_[first].punctuation ||
                                     is_adverb(at(first)) || one_of(at(first), {"and", "but"}))) {
        ++first;
    }
    std::string name;
    for (std::size_t i = first; i < words_.size(); ++i) {
        const bool order = i == first && (is_contact_verb(at(i)) || is_contact_noun(at(i)) ||
                                          one_of(at(i), {"dial", "send", "emails", "calls"}));
        const std::size_t run = i == value || order ? 0 : name_run(i);
        const bool me = one_of(at(i), {"me", "my", "i"});
        if (run == 0 && !me) continue;
        if (!name.empty()) return false;
        name = me ? context_.speaker : written(i, i + run);
        person = i;
        i += me ? 0 : run - 1;
    }
    if (name.empty() || !is_told_of(first, person, value)) return false;
    const bool over =
        is_over() || std::ranges::any_of(words_, [](const Word& word) {
            return one_of(word.lower,
                          {"not",     "never",       "dead",    "disconnected", "bounce",
                           "bounces", "bounced",     "closed",  "cancelled",    "canceled",
                           "dropped", "deactivated", "deleted", "invalid",      "abandoned",
                           "stopped", "quit",        "gave",    "given",        "former"});
        });
    if (std::ranges::any_of(words_, [](const Word& word) { return word.lower == "hesitate"; })) {
        return false;
    }
    subject_ = std::move(name);
    partner_.clear();
    chain_ = {};
    chain_.ended = over;
    emit(predicate, written(value, value + 1), Effect::state, .75f);
    return true;
}

}  // namespace memory::facts
