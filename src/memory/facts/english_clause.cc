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
/// Values that point elsewhere, and beginnings of clauses.
bool is_no_object(std::string_view word) {
    return one_of(
        word, {"it",      "this",   "that",     "there",   "here",       "them",      "him",
               "her",     "me",     "you",      "us",      "everything", "something", "anything",
               "nothing", "myself", "yourself", "himself", "herself",    "home",      "one",
               "how",     "what",   "when",     "your",    "their",      "our",       "these",
               "those",   "to",     "being",    "if",      "and",        "my",        "his",
               "its",     "him",    "of",       "not",     "all",        "each",      "about"});
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

/// Whether the words of `phrase` stand at `i`.
bool ClauseReader::follows(std::size_t i, std::string_view phrase, std::size_t& used) const {
    used = 0;
    while (!phrase.empty()) {
        const std::size_t space = std::min(phrase.find(' '), phrase.size());
        if (at(i + used) != phrase.substr(0, space)) return false;
        phrase.remove_prefix(std::min(space + 1, phrase.size()));
        ++used;
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
    skip_openers();
    if (!read_subject()) {
        subject_ = std::exchange(mind_.subject, {});  // "we", "it": nobody goes on from there
        if (subject_.empty() || !(verb_form(at(i_)) || is_auxiliary(at(i_)))) return;
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
    read_attribute();
}

void ClauseReader::skip_openers() {
    std::size_t used = 0;
    while (i_ < words_.size()) {
        if (follows(i_, "by the way", used) || follows(i_, "in fact", used) ||
            follows(i_, "guess what", used) || follows(i_, "good news", used)) {
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
    if (run == 0) return false;
    subject_ = written(i_, i_ + run);
    i_ += run;
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
    if (name > begin && name < noun_end) {
        subject_ = written(name, noun_end);
        return true;
    }
    owner_ = std::move(owner);
    attribute_ = written(begin, noun_end);
    subject_ = owner_ + "'s " + attribute_;
    return true;
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
    } else if (word == "do" || word == "does") {
    } else if (word == "did") {
        chain_.past = true;
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

/// "X's favourite tea is oolong": the value must look like one unless the attribute is known.
void ClauseReader::read_attribute() {
    if (attribute_.empty() || !is_be(at(i_)) || one_of(at(i_), {"was", "were"})) return;
    ++i_;
    chain_ = {};
    chain_.be = true;
    for (; is_adverb(at(i_)) || one_of(at(i_), {"not", "no", "longer"}); ++i_) {
        chain_.negated = chain_.negated || at(i_) == "not" || at(i_) == "no";
    }
    std::string noun;
    for (const char c : attribute_) noun += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    bool certain = false;
    const std::string predicate = attribute_predicate(noun, certain);
    if (is_judgement(at(i_)) || (!certain && !named(i_))) return;
    const bool date = one_of(predicate, {"birthday"});
    subject_ = owner_;
    if (date) when_ = {};  // the value, not since when
    auto object = read_object(date ? ObjectKind::date : ObjectKind::any, false);
    if (object) emit(predicate, std::move(*object), Effect::state, certain ? .9f : .8f);
}

void ClauseReader::read_frame(const Frame& frame) {
    if (frame.object == ObjectKind::owned) return read_owned(frame);
    const std::string_view predicate = frame.predicate;
    const bool list =
        cardinality_of(predicate) == Cardinality::many && frame.effect != Effect::intent;
    do {
        auto object = read_object(frame.object, frame.effect == Effect::intent);
        if (!object) return;
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
        if (!intent && (word == "and" || word == "or")) break;
        if (intent ? one_of(word, {"because", "but", "so", "when", "if"})
                   : ends_object(word) && kind != ObjectKind::date) {
            break;
        }
        if (!intent && word == "to" && i_ > begin) break;
        ++i_;
    }
    if (i_ == begin || (is_no_object(at(begin)) && kind != ObjectKind::date && !intent)) {
        return std::nullopt;
    }
    if (kind == ObjectKind::name && !named(begin)) return std::nullopt;
    std::string object = written(begin, i_);
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
    out_.push_back(std::move(found));
}

}  // namespace memory::facts
