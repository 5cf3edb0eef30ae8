// What tense and time make of a phrase; words, objects and the order in which a clause is read.
#include <algorithm>
#include <utility>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"

namespace memory::facts {
namespace {

bool is_empty(const When& when) {
    return !when.since && !when.until && !when.at && !when.unclear;
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

/// Whether the words of `phrase` stand at `i`; how frames() writes them.
bool ClauseReader::follows(std::size_t i, std::string_view phrase, std::size_t& used) const {
    used = 0;
    while (!phrase.empty()) {
        const std::size_t space = std::min(phrase.find(' '), phrase.size());
        const std::string_view part = phrase.substr(0, space);
        if (part == "~") {
            while (is_determiner(at(i + used)) || is_slight(at(i + used))) ++used;
        } else {
            const std::string_view word = at(i + used++);
            if (part[0] == '<' ? !is_in_class(word, part) : word != part) return false;
        }
        phrase.remove_prefix(std::min(space + 1, phrase.size()));
    }
    return true;
}

/// "any more", "no longer", wherever it stands.
bool ClauseReader::is_over() const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
        if (at(i) == "anymore") return true;
        if (at(i) == "any" && one_of(at(i + 1), {"more", "longer"})) return true;
        if (at(i) == "no" && at(i + 1) == "longer") return true;
    }
    return false;
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
    const std::size_t said = out_.size();
    read_rest(fronted);
    if (out_.size() == said) read_way();
}

void ClauseReader::read_rest(bool fronted) {
    if (read_contact() || read_found()) return;
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
        } else if (follows(i_, "of all", used) || follows(i_, "among all", used) ||
                   follows(i_, "when it comes to", used) || follows(i_, "as for", used)) {
            topic_ = singular(at(i_ + used));
            i_ += std::min(used + 1, words_.size() - i_);
        } else if (words_[i_].time || words_[i_].punctuation || is_adverb(at(i_)) ||
                   one_of(at(i_), {"and", "but", "because", "no", "so", "sorry", "while"})) {
            ++i_;
        } else {
            return;
        }
    }
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
    // What follows from it.
    if (predicate == "graduated_from") emit_end("studies_at", out_.back().object, confidence);
    if (predicate == "likes" && out_.back().retracts && is_colour(lowered(out_.back().object))) {
        emit_end("favourite_colour", out_.back().object, confidence);
    }
}

void ClauseReader::emit_end(std::string_view predicate, std::string object, float confidence) {
    const Chain chain = std::exchange(chain_, {});
    chain_.past = true;
    emit(predicate, std::move(object), Effect::end, confidence);
    chain_ = chain;
}

}  // namespace memory::facts
