#include "memory/facts/english_clause.h"

#include <algorithm>
#include <utility>

namespace memory::facts {
namespace {

bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
}

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
bool is_possessive(std::string_view word) {
    return one_of(word, {"my", "your", "his", "her"});
}
std::string lowered(std::string_view text) {
    std::string out;
    for (const char c : text) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return out;
}
/// "Call me", "you can reach Ann": not in the verbs, being nouns as often.
bool is_contact_verb(std::string_view word) {
    return one_of(word, {"reach", "call", "contact", "phone", "ring", "text", "message", "email",
                         "e-mail", "mail", "write"});
}
bool is_contacted(std::string_view word) {
    return one_of(word, {"reached", "called", "contacted", "phoned", "emailed", "e-mailed",
                         "texted", "messaged"});
}
/// An address of mail, a number of a telephone; empty: neither, so no way to reach anybody.
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
bool is_empty(const When& when) {
    return !when.since && !when.until && !when.at && !when.unclear;
}
/// Values that point elsewhere, and beginnings of clauses.
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

}  // namespace

std::optional<Outcome> outcome_of(Effect effect, const Chain& chain, const When& when,
                                  UnixMs said_at) {
    if (when.unclear) return std::nullopt;
    const auto at_from = when.at ? std::optional(when.at->from) : std::nullopt;
    const auto ends = [&](std::optional<UnixMs> moment) {
        return Outcome{true, moment.value_or(said_at), 0};
    };
    const auto holds = [&](std::optional<UnixMs> moment) {
        return Outcome{false, moment.value_or(said_at), when.until.value_or(0)};
    };
    const bool bent = chain.negated || chain.used_to || chain.ended;
    switch (effect) {
        case Effect::state:
            if (chain.began)
                return bent ? std::nullopt : std::optional(holds(at_from ? at_from : when.since));
            if (chain.used_to && (when.at || when.since)) return std::nullopt;
            if (chain.ended || chain.used_to) return ends(when.until ? when.until : at_from);
            if (chain.negated && chain.past) return std::nullopt;
            if (chain.negated) return ends(when.since);
            if (chain.past && when.since && when.until) return holds(when.since);
            if (chain.past && when.until && !when.at) return ends(when.until);
            if (chain.past && when.at) return Outcome{false, when.at->from, when.at->to};
            if (chain.past) return std::nullopt;
            if (when.since) return holds(when.since);
            if (chain.perfect && !chain.progressive && !chain.be) return std::nullopt;
            if (chain.perfect && when.at) return std::nullopt;
            return holds(at_from);
        case Effect::begin:
            if (bent || chain.progressive) return std::nullopt;
            return holds(at_from ? at_from : when.since);
        case Effect::end:
            if (bent || chain.progressive) return std::nullopt;
            if (!chain.past && !chain.perfect && !chain.be) return std::nullopt;
            return ends(at_from ? at_from : when.since ? when.since : when.until);
        case Effect::event:
            if (bent || (!chain.past && !chain.perfect && !chain.be)) return std::nullopt;
            return Outcome{false, at_from.value_or(said_at), 0};
        case Effect::intent:
            if (bent || chain.past || chain.perfect) return std::nullopt;
            return Outcome{false, said_at, 0};
    }
    return std::nullopt;
}

bool ClauseReader::named(std::size_t i) const {
    if (i >= words_.size() || words_[i].punctuation || words_[i].time) return false;
    const auto first = static_cast<unsigned char>(text_[words_[i].begin]);
    return words_[i].capital || first >= 0x80 || (first >= '0' && first <= '9');
}

/// Whether a dash, which is no word, stands before `i`: "pottery - it calms me".
bool ClauseReader::is_parted(std::size_t i) const {
    const std::size_t from = words_[i - 1].end, to = words_[i].begin;
    return from < to &&
           text_.substr(from, to - from).find_first_not_of(" \t\n") != std::string_view::npos;
}

/// Whether the words of `phrase` stand at `i`.
bool ClauseReader::follows(std::size_t i, std::string_view phrase, std::size_t& used) const {
    used = 0;
    while (!phrase.empty()) {
        const std::size_t space = std::min(phrase.find(' '), phrase.size());
        if (phrase[0] == '~') {
            while (is_determiner(at(i + used))) ++used;
        } else if (at(i + used++) != phrase.substr(0, space)) {
            return false;
        }
        phrase.remove_prefix(std::min(space + 1, phrase.size()));
    }
    return true;
}

std::string ClauseReader::written(std::size_t begin, std::size_t end) const {
    std::string out;
    for (std::size_t i = begin; i < end; ++i) {
        if (!out.empty() && words_[i].lower != "'s" && !words_[i].punctuation) out += ' ';
        out += text_.substr(words_[i].begin, words_[i].end - words_[i].begin);
    }
    return out;
}

void ClauseReader::read() {
    when_ = when_of(words_, context_.said_at_unix_ms);
    const bool fronted = words_.front().time;
    skip_openers();
    if (read_contact()) return;
    const std::size_t first = i_;
    if (!read_subject()) {
        if (i_ == first && read_plain_subject()) return;
        subject_ = std::exchange(mind_.subject, {});  // "we", "it": nobody goes on from there
        if (subject_.empty() || !(verb_form(at(i_)) || is_auxiliary(at(i_)))) return;
        if (is_empty(when_)) when_ = mind_.fronted;
    } else {
        mind_.fronted = fronted ? when_ : When{};
    }
    mind_.subject = subject_;
    const std::string& person = attribute_.empty() ? subject_ : owner_;
    if (person != context_.speaker && person != context_.listener) mind_.third_person = person;
    const std::size_t verb = i_;
    if (read_chain() && read_verb()) {
        if (subject_ != context_.speaker && subject_ != context_.listener) {
            mind_.third_person = subject_;
        }
        return;
    }
    i_ = verb;
    if (!read_ending()) read_attribute();
}

void ClauseReader::skip_openers() {
    std::size_t used = 0;
    while (i_ < words_.size()) {
        if (follows(i_, "by the way", used) || follows(i_, "in fact", used) ||
            follows(i_, "guess what", used) || follows(i_, "good news", used) ||
            follows(i_, "as of", used) || follows(i_, "as from", used)) {
            i_ += used;
        } else if (words_[i_].time || words_[i_].punctuation || is_adverb(at(i_)) ||
                   one_of(at(i_), {"and", "but", "because", "no", "so", "sorry", "while"})) {
            ++i_;
        } else {
            return;
        }
    }
}

std::size_t ClauseReader::name_run(std::size_t i) const {
    std::size_t end = i;
    while (end < words_.size() && end < i + 4 && words_[end].capital && !words_[end].time &&
           !words_[end].punctuation && !is_no_name(at(end))) {
        ++end;
    }
    return end - i;
}

/// Whether "'s" before `i` means "is".
bool ClauseReader::be_phrase_at(std::size_t i) const {
    while (i < words_.size() && (is_adverb(at(i)) || one_of(at(i), {"no", "longer", "not"}))) ++i;
    std::size_t used = 0;
    const auto form = verb_form(at(i));
    return frame_at("be", i, used) != nullptr || at(i) == "been" || at(i) == "a" ||
           (form && form->tense == Tense::progressive);
}

bool ClauseReader::read_subject() {
    const std::string_view word = at(i_);
    if (word == "i" || word == "you") {
        subject_ = word == "i" ? context_.speaker : context_.listener;
        ++i_;
        return !subject_.empty();
    }
    if (one_of(word, {"he", "she"})) {
        subject_ = mind_.third_person;
        ++i_;
        return !subject_.empty();
    }
    if (one_of(word, {"my", "your", "his", "her"})) {
        ++i_;
        return read_possessed(word == "my"     ? context_.speaker
                              : word == "your" ? context_.listener
                                               : mind_.third_person);
    }
    if (word == "the") {  // "the capital of France is"
        std::size_t of = i_ + 1;
        while (of < words_.size() && of < i_ + 5 && at(of) != "of" && !words_[of].punctuation) ++of;
        const std::size_t run = at(of) == "of" ? name_run(of + 1) : 0;
        if (run == 0 || of == i_ + 1 || !is_be(at(of + 1 + run))) return false;
        subject_ = owner_ = written(of + 1, of + 1 + run);
        attribute_ = written(i_ + 1, of);
        i_ = of + 1 + run;
        return true;
    }
    const std::size_t run = name_run(i_);
    const auto order = verb_form(word);  // "Take care"
    if (run == 0 || (order && order->tense == Tense::base)) return false;
    subject_ = written(i_, i_ + run);
    i_ += run;
    if (const std::size_t other = at(i_) == "and" ? name_run(i_ + 1) : 0;
        other > 0 && at(i_ + 1 + other) != "'s") {
        partner_ = written(i_ + 1, i_ + 1 + other);
        i_ += 1 + other;
        return true;
    }
    if (at(i_) != "'s" || be_phrase_at(i_ + 1)) return true;
    ++i_;
    return read_possessed(subject_);
}

/// "my best friend Clara", "Ann's sister's name": a person, or somebody's attribute.
bool ClauseReader::read_possessed(std::string owner) {
    if (owner.empty()) return false;
    const std::size_t begin = i_;
    while (i_ < words_.size() && i_ < begin + 5 && !is_auxiliary(at(i_)) && !verb_form(at(i_)) &&
           !words_[i_].punctuation && !words_[i_].time && !is_adverb(at(i_))) {
        ++i_;
    }
    if (i_ == begin) return false;
    const std::size_t noun_end = i_;
    if (at(i_) == "'s" && !be_phrase_at(i_ + 1) && i_ + 1 < words_.size() && !named(i_ + 1)) {
        ++i_;
        return read_possessed(owner + "'s " + written(begin, noun_end));
    }
    std::size_t name = noun_end;
    while (name > begin && words_[name - 1].capital) --name;
    if (name > begin && name < noun_end && !is_preposition(at(name - 1))) {
        subject_ = written(name, noun_end);
        read_aside(owner, written(begin, name), subject_);
        return true;
    }
    owner_ = std::move(owner);
    attribute_ = written(begin, noun_end);
    subject_ = owner_ + "'s " + attribute_;
    return true;
}

/// "Ann's husband Bob": said by the way, so at no time but now.
void ClauseReader::read_aside(const std::string& owner, const std::string& noun, std::string name) {
    bool certain = false, place = false;
    if (attribute_predicate(lowered(noun), certain, place) != "married_to") return;
    if (std::ranges::any_of(words_, [](const Word& word) {
            return one_of(word.lower, {"died", "late", "dead", "was", "were", "passed", "had"});
        })) {
        return;
    }
    const When when = std::exchange(when_, {});
    const std::string subject = std::exchange(subject_, owner);
    emit("married_to", std::move(name), Effect::state, .8f);
    subject_ = subject;
    when_ = when;
}

/// "dark blue is Ann's favourite colour": what is no name may be somebody's something, no more.
bool ClauseReader::read_plain_subject() {
    constexpr std::size_t kWordsMax = 3;
    const std::size_t begin = i_;
    std::size_t i = begin;
    while (is_article(at(i))) ++i;
    const std::size_t noun = i;
    while (i < words_.size() && i < noun + kWordsMax && !is_auxiliary(at(i))) {
        if (words_[i].punctuation || words_[i].time || verb_form(at(i)) || is_no_object(at(i)) ||
            is_no_name(at(i))) {
            return false;
        }
        ++i;
    }
    if (i == noun || !is_auxiliary(at(i))) return false;
    subject_ = written(noun, i);
    i_ = i;
    if (read_chain() && chain_.be && read_belonging()) return true;
    i_ = begin;
    chain_ = {};
    subject_.clear();
    return false;
}

std::optional<std::string> ClauseReader::read_person() {
    std::string person;
    if (const std::size_t run = name_run(i_)) {
        person = written(i_, i_ + run);
        i_ += run;
    } else if (at(i_) == "me") {
        person = context_.speaker;
        ++i_;
    } else if (one_of(at(i_), {"him", "her"})) {
        person = mind_.third_person;
        ++i_;
    }
    return person.empty() ? std::nullopt : std::optional(person);
}

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
    return false;
}

/// "is Ann's favourite colour", "has been my home": the subject is the value.
bool ClauseReader::read_belonging() {
    const std::size_t begin = i_;
    std::string owner;
    if (is_possessive(at(i_))) {
        owner = at(i_) == "my"     ? context_.speaker
                : at(i_) == "your" ? context_.listener
                                   : mind_.third_person;
        ++i_;
    } else if (const std::size_t run = name_run(i_); run > 0 && at(i_ + run) == "'s") {
        owner = written(i_, i_ + run);
        i_ += run + 1;
    }
    const std::size_t noun = i_;
    while (i_ < words_.size() && i_ < noun + 4 && !words_[i_].punctuation && !words_[i_].time &&
           !ends_object(at(i_)) && !is_adverb(at(i_)) && at(i_) != "and") {
        ++i_;
    }
    bool certain = false, place = false;
    const std::string predicate = attribute_predicate(lowered(written(noun, i_)), certain, place);
    const bool is_name = subject_[0] >= 'A' && subject_[0] <= 'Z';
    const bool value = certain ? predicate != "married_to" || is_name : place && is_name;
    if (owner.empty() || i_ == noun || !value || partner_ != "") {
        i_ = begin;
        return false;
    }
    std::string object = std::exchange(subject_, owner);
    emit(predicate, std::move(object), Effect::state, .85f);
    return true;
}

/// "calls Oslo home", "has made Oslo her home".
bool ClauseReader::read_home() {
    const bool makes = one_of(at(i_), {"make", "makes", "made"});
    if (!makes && !one_of(at(i_), {"call", "calls", "called"})) return false;
    const std::size_t begin = i_++;
    const std::size_t run = name_run(i_);
    std::size_t home = i_ + run;
    while (one_of(at(home), {"his", "her", "their", "my", "new"})) ++home;
    if (run == 0 || at(home) != "home") {
        i_ = begin;
        return false;
    }
    std::string place = written(i_, i_ + run);
    if (one_of(at(begin), {"called", "made"}) && !chain_.perfect) chain_.past = true;
    i_ = home + 1;
    emit("lives_in", std::move(place), makes ? Effect::begin : Effect::state, .85f);
    return true;
}

/// "changed her phone number (from A) to B".
bool ClauseReader::read_change() {
    if (!one_of(at(i_), {"change", "changed", "changes", "switched", "updated"})) return false;
    const std::size_t begin = i_++;
    if (is_possessive(at(i_)) || at(i_) == "their" || at(i_) == "the") {
        const std::size_t noun = ++i_;
        while (i_ < words_.size() && i_ < noun + 4 && !one_of(at(i_), {"from", "to"})) ++i_;
        bool certain = false, place = false;
        const std::string predicate =
            attribute_predicate(lowered(written(noun, i_)), certain, place);
        if (at(i_) == "from") {
            while (i_ < words_.size() && at(i_) != "to") ++i_;
        }
        if (certain && at(i_) == "to") {
            ++i_;
            if (auto value = read_object(ObjectKind::any, false)) {
                emit(predicate, std::move(*value), Effect::begin, .85f);
                return true;
            }
        }
    }
    i_ = begin;
    return false;
}

/// "Ann and Bob got married".
bool ClauseReader::read_mutual() {
    const auto form = verb_form(at(i_));
    const std::string_view lemma = chain_.be ? "be" : form ? form->lemma : "";
    const std::size_t after = chain_.be ? i_ : i_ + 1;
    for (const Frame& frame : mutual_frames()) {
        std::size_t used = 0;
        if (frame.lemma != lemma || !follows(after, frame.after, used)) continue;
        const std::size_t end = after + used;
        if (end < words_.size() && !words_[end].time && !words_[end].punctuation &&
            !is_adverb(at(end)) &&
            !one_of(at(end),
                    {"because", "after", "when", "in", "at", "and", "any", "anymore", "since"})) {
            continue;
        }
        if (form && form->tense == Tense::past && !chain_.perfect && !chain_.be) {
            chain_.past = true;
        }
        i_ = end;
        emit(frame.predicate, partner_, frame.effect, .85f);
        return true;
    }
    return false;
}

/// "Ann's days at Acme are over".
bool ClauseReader::read_ending() {
    const std::string noun = lowered(attribute_);
    std::size_t space = noun.find(' ');
    if (space != std::string::npos) space = noun.find(' ', space + 1);
    if (space == std::string::npos) return false;
    const std::string_view predicate = ended_predicate(std::string_view(noun).substr(0, space));
    const std::string object = attribute_.substr(space + 1);
    if (predicate.empty() || object[0] < 'A' || object[0] > 'Z') return false;
    std::size_t used = 0;
    while (is_adverb(at(i_)) || one_of(at(i_), {"has", "have"})) ++i_;
    const bool over = (is_be(at(i_)) && one_of(at(i_ + 1), {"over", "finished", "history"}) &&
                       (i_ + 2 >= words_.size() || words_[i_ + 2].time ||
                        words_[i_ + 2].punctuation || is_adverb(at(i_ + 2)))) ||
                      at(i_) == "ended" || follows(i_, "came to an end", used) ||
                      follows(i_, "come to an end", used);
    if (!over) return false;
    subject_ = owner_;
    chain_ = {};
    chain_.past = true;
    emit(predicate, object, Effect::end, .85f);
    return true;
}

/// "Acme hired Ann", "Acme let Ann go".
void ClauseReader::read_inverse(const Frame& frame) {
    const std::string company = subject_;
    const auto person = read_person();
    const bool ends = i_ >= words_.size() || words_[i_].time || words_[i_].punctuation ||
                      one_of(at(i_), {"as", "after", "and", "because", "when", "in"}) ||
                      is_adverb(at(i_));
    if (!person || !ends || !partner_.empty() || company == context_.speaker) return;
    subject_ = *person;
    emit(frame.predicate, company, frame.effect, frame.confidence);
    subject_ = company;
}

/// One word of a verb's company; false when it is none.
bool ClauseReader::skip_auxiliary(std::string_view word) {
    const std::string_view next = at(i_ + 1);
    const auto next_form = verb_form(next);
    const bool next_progressive = next_form && next_form->tense == Tense::progressive;
    const bool next_participle =
        next == "been" || next == "not" || next == "never" || next == "no" || is_adverb(next) ||
        (next_form && (next_form->tense == Tense::past || next_form->tense == Tense::participle));
    if (word == "'s" && next == "been") {
        chain_.perfect = true;
    } else if (is_be(word) || word == "been") {
        chain_.be = true;
        chain_.past = chain_.past || word == "was" || word == "were";
    } else if ((word == "has" || word == "have") && next_participle) {
        chain_.perfect = true;
    } else if (one_of(word, {"do", "does", "did"})) {
        chain_.does = true;
        chain_.past = chain_.past || word == "did";
    } else if (word == "not" || word == "never") {
        chain_.negated = true;
    } else if (word == "no" && next == "longer") {
        chain_.ended = true;
        ++i_;
    } else if (word == "used" && next == "to") {
        chain_.used_to = true;
        ++i_;
    } else if (word == "can") {
        chain_.can = true;
    } else if (one_of(word, {"stopped", "quit"}) && next_progressive) {
        chain_.ended = true;
    } else if (one_of(word, {"started", "began"}) && next_progressive) {
        chain_.began = true;
    } else {
        return false;
    }
    return true;
}

bool ClauseReader::read_chain() {
    for (; i_ < words_.size(); ++i_) {
        if (words_[i_].punctuation) return false;
        if (words_[i_].time || is_adverb(at(i_))) continue;
        if (!skip_auxiliary(at(i_))) break;
    }
    for (const Word& word : words_) {
        if (word.lower == "anymore") chain_.ended = true;
    }
    for (std::size_t i = i_; i + 1 < words_.size(); ++i) {
        const bool any_more = at(i) == "any" && one_of(at(i + 1), {"more", "longer"});
        if (any_more) chain_.ended = true;
    }
    return i_ < words_.size();
}

/// The longest frame of the verb whose words stand at `i`.
const Frame* ClauseReader::frame_at(std::string_view lemma, std::size_t i,
                                    std::size_t& used) const {
    const Frame* best = nullptr;
    std::size_t best_used = 0;
    for (const Frame& frame : frames()) {
        std::size_t words = 0;
        if (frame.lemma != lemma || !follows(i, frame.after, words)) continue;
        if (best == nullptr || words > best_used) {
            best = &frame;
            best_used = words;
        }
    }
    used = best_used;
    return best;
}

bool ClauseReader::read_verb() {
    std::size_t used = 0;
    if (!partner_.empty() && read_mutual()) return true;
    if (chain_.can && at(i_) == "be" && is_contacted(at(i_ + 1))) {
        i_ += 2;
        std::string_view predicate;
        chain_ = {};
        if (auto value = read_contact_value(predicate)) {
            emit(predicate, std::move(*value), Effect::state, .85f);
        }
        return true;
    }
    if (!chain_.be && !chain_.can && (read_home() || read_change())) return true;
    if (chain_.be && read_be()) return true;
    if (chain_.can && chain_.negated && at(i_) == "stand") {
        static constexpr Frame kCannotStand{"", "", "dislikes"};
        ++i_;
        chain_ = {};
        read_frame(kCannotStand);
        return true;
    }
    const auto form = verb_form(at(i_));
    if (!form) return false;
    // "Sounds like fun", "Themes like that": somebody likes, nobody like.
    const bool third =
        partner_.empty() && subject_ != context_.speaker && subject_ != context_.listener;
    const bool bare = !chain_.does && !chain_.can && !chain_.used_to;
    if (third && form->tense == Tense::base && bare) return false;
    const bool gerund = form->tense == Tense::progressive;
    if (chain_.be != gerund && !chain_.began && !chain_.ended) return false;
    if (chain_.can && !one_of(form->lemma, {"speak", "play"})) return false;
    if (form->tense == Tense::past && !chain_.perfect) chain_.past = true;
    chain_.progressive = chain_.be && gerund;
    ++i_;
    if (one_of(form->lemma, {"move", "relocate"}) && at(i_) == "from") {
        read_move();
        return true;
    }
    if (form->lemma == "let" || form->lemma == "lay") {  // "let Ann go", "laid Ann off"
        static constexpr Frame kLetGo{"", "", "works_at", Effect::end, ObjectKind::name, .8f, true};
        const std::size_t person = i_ + std::max<std::size_t>(1, name_run(i_));
        const bool parted = at(person) == (form->lemma == "let" ? "go" : "off");
        if (parted) {
            words_[person].punctuation = true;  // the rest of the verb, behind its object
            read_inverse(kLetGo);
            return true;
        }
    }
    const Frame* frame = frame_at(form->lemma, i_, used);
    if (frame == nullptr) return false;
    i_ += used;
    read_frame(*frame);
    return true;
}

/// "am allergic to", "is a nurse", "am 34 years old".
bool ClauseReader::read_be() {
    std::size_t used = 0;
    if (const Frame* frame = frame_at("be", i_, used)) {
        i_ += used;
        read_frame(*frame);
        return true;
    }
    if (read_belonging()) return true;
    if (one_of(at(i_), {"a", "an"})) {
        for (std::size_t k = i_ + 1; k < words_.size() && k < i_ + 4; ++k) {
            if (!is_occupation(at(k))) continue;
            std::string job = written(i_ + 1, k + 1);
            i_ = k + 1;
            emit("works_as", std::move(job), Effect::state, .8f);
            static constexpr Frame kJob{"", "", "works_as"};
            read_second_job(kJob);
            return true;
        }
    }
    if (one_of(at(i_ + 1), {"years"}) && at(i_ + 2) == "old" && named(i_)) {
        emit("age", written(i_, i_ + 1), Effect::state, .9f);
        return true;
    }
    return false;
}

/// "is", "is no longer", "has been", "changed to", "is now": what it does to the attribute. Ends
/// before the value; i_ stays where there is none.
Effect ClauseReader::read_copula() {
    chain_ = {};
    while (is_adverb(at(i_))) ++i_;
    std::size_t k = i_;
    if (one_of(at(k), {"has", "'s"}) && one_of(at(k + 1), {"been", "changed", "become"})) {
        chain_.perfect = true;
        ++k;
    }
    if (at(k) == "changed" || at(k) == "became" || at(k) == "become") {
        if (at(k) == "changed" && at(k + 1) == "from") {
            while (k + 1 < words_.size() && at(k + 1) != "to") ++k;
        }
        if (at(k) != "became" && at(k) != "become" && at(k + 1) != "to") return Effect::begin;
        i_ = k + (at(k) == "became" || at(k) == "become" ? 1 : 2);
        return Effect::begin;
    }
    const bool been = chain_.perfect && at(k) == "been";
    if (!been && (!is_be(at(k)) || one_of(at(k), {"was", "were"}))) return Effect::state;
    chain_.be = true;
    i_ = k + 1;
    for (; is_adverb(at(i_)) || one_of(at(i_), {"not", "no", "longer"}); ++i_) {
        chain_.negated = chain_.negated || at(i_) == "not" || at(i_) == "no";
    }
    return Effect::state;
}

/// "X's favourite tea is oolong": the value must look like one unless the attribute is known.
void ClauseReader::read_attribute() {
    if (attribute_.empty()) return;
    const std::size_t begin = i_;
    const Effect effect = read_copula();
    if (i_ == begin) return;
    bool certain = false, place = false;
    const std::string predicate = attribute_predicate(lowered(attribute_), certain, place);
    if (effect == Effect::begin && !certain && !place) return;
    if (is_judgement(at(i_)) || (!certain && !named(i_))) return;
    const bool date = one_of(predicate, {"birthday"});
    subject_ = owner_;
    if (date) when_ = {};  // the value, not since when
    auto object = read_object(date ? ObjectKind::date : ObjectKind::any, false);
    if (object) emit(predicate, std::move(*object), effect, certain ? .9f : .8f);
}

void ClauseReader::read_frame(const Frame& frame) {
    if (frame.object == ObjectKind::owned) return read_owned(frame);
    if (frame.inverse) return read_inverse(frame);
    const std::string_view predicate = frame.predicate;
    const bool list =
        cardinality_of(predicate) == Cardinality::many && frame.effect != Effect::intent;
    do {
        auto object = read_object(frame.object, frame.effect == Effect::intent);
        if (!object) return;
        if (predicate == "likes" && one_of(at(i_), {"best", "most", "more"})) {
            // "best of all fruits", "more than any other fruit"
            std::size_t used = 0;
            const bool all =
                follows(i_ + 1, "of all", used) || follows(i_ + 1, "among all", used) ||
                follows(i_ + 1, "than any other", used) || follows(i_ + 1, "than all other", used);
            const std::size_t noun = i_ + 1 + used;
            if (!all || noun >= words_.size() || chain_.negated) return;
            bool certain = false, place = false;
            emit(attribute_predicate("favourite " + singular(at(noun)), certain, place),
                 std::move(*object), frame.effect, frame.confidence);
            return;
        }
        emit(predicate, std::move(*object), frame.effect, frame.confidence);
        if (!list || !(one_of(at(i_), {",", "and", "or"}))) break;
        while (one_of(at(i_), {",", "and", "or"})) ++i_;
    } while (i_ < words_.size());
    read_second_job(frame);
}

/// "moved from Rome to Oslo".
void ClauseReader::read_move() {
    ++i_;
    auto old = read_object(ObjectKind::name, false);
    if (!old || at(i_) != "to") return;
    ++i_;
    auto now = read_object(ObjectKind::name, false);
    if (!now) return;
    emit("lives_in", std::move(*old), Effect::end, .9f);
    emit("lives_in", std::move(*now), Effect::begin, .9f);
}

/// "have a dog named Rex": Rex; "have a dog": dog.
void ClauseReader::read_owned(const Frame& frame) {
    for (std::size_t k = i_; k < words_.size() && k < i_ + 3; ++k) {
        const std::string_view predicate = owned_predicate(at(k));
        if (predicate.empty()) continue;
        if (k + 1 < words_.size() && !words_[k + 1].punctuation && !words_[k + 1].time &&
            !ends_object(at(k + 1)) && !one_of(at(k + 1), {"named", "called", "and"})) {
            return;  // "a dog walker"
        }
        std::string object = written(i_, k + 1);
        if (one_of(at(k + 1), {"named", "called"})) {
            const std::size_t run = name_run(k + 2);
            if (run > 0) object = written(k + 2, k + 2 + run);
        }
        i_ = k + 1;
        emit(predicate, std::move(object), frame.effect, frame.confidence);
        return;
    }
}

/// "works at Acme as a welder" and "works as a welder at Acme".
void ClauseReader::read_second_job(const Frame& frame) {
    const bool at_place = frame.predicate == "works_at" && at(i_) == "as";
    const bool as_job = frame.predicate == "works_as" && one_of(at(i_), {"at", "for"});
    if ((!at_place && !as_job) || frame.effect == Effect::end) return;
    ++i_;
    auto object = read_object(as_job ? ObjectKind::name : ObjectKind::any, false);
    if (object) emit(at_place ? "works_as" : "works_at", std::move(*object), frame.effect, .9f);
}

std::optional<std::string> ClauseReader::read_object(ObjectKind kind, bool intent) {
    constexpr std::size_t kWordsMax = 8;
    while (i_ < words_.size() && (is_article(at(i_)) || is_adverb(at(i_)))) ++i_;
    std::string whose;
    if (one_of(at(i_), {"my", "his", "her"}) && kind == ObjectKind::any && !intent) {
        whose = at(i_) == "my" ? context_.speaker : mind_.third_person;
        if (whose.empty()) return std::nullopt;
        ++i_;
    }
    const std::size_t begin = i_;
    while (i_ < words_.size() && i_ < begin + kWordsMax) {
        const std::string_view word = at(i_);
        if (kind == ObjectKind::date ? !words_[i_].time && i_ > begin : words_[i_].time) break;
        if (words_[i_].punctuation && kind != ObjectKind::date) break;
        if (i_ > begin && is_parted(i_)) break;
        if (!intent && (word == "and" || word == "or")) break;
        if (intent ? one_of(word, {"because", "but", "so", "when", "if"})
                   : (ends_object(word) || (one_of(word, {"best", "most"}) && i_ > begin)) &&
                         kind != ObjectKind::date) {
            break;
        }
        if (!intent && word == "to" && i_ > begin) break;
        ++i_;
    }
    if (i_ == begin || (is_no_object(at(begin)) && kind != ObjectKind::date && !intent)) {
        return std::nullopt;
    }
    if (kind == ObjectKind::name && !named(begin)) return std::nullopt;
    if (i_ == begin + 1 && !named(begin) && at(begin).ends_with("ly")) return std::nullopt;
    std::size_t end = i_;  // "the piano about (five years ago)"
    const bool timed = i_ < words_.size() && words_[i_].time;
    while (timed && end > begin + 1 && one_of(at(end - 1), {"about", "around"})) --end;
    std::string object = written(begin, end);
    if (kind == ObjectKind::date && object.starts_with("on ")) object.erase(0, 3);
    return whose.empty() ? object : whose + "'s " + object;
}

void ClauseReader::emit(std::string_view predicate, std::string object, Effect effect,
                        float confidence) {
    const auto outcome = outcome_of(effect, chain_, when_, context_.said_at_unix_ms);
    if (!outcome || object.empty() || subject_.empty()) return;
    Found found{
        subject_,    std::string(predicate), std::move(object), outcome->retracts, outcome->from,
        outcome->to, words_.front().begin,   words_.back().end, confidence};
    if (!partner_.empty() && partner_ != found.object) {  // both of them
        Found other = found;
        other.subject = partner_;
        out_.push_back(std::move(other));
    }
    out_.push_back(std::move(found));
}

}  // namespace memory::facts
