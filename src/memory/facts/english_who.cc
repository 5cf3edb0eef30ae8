// Of whom a clause speaks.
#include <algorithm>
#include <utility>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"

namespace memory::facts {

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
    if (read_attribute_of()) return true;
    if (word == "the") return false;
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

/// "the capital of France is", "home for Ann is".
bool ClauseReader::read_attribute_of() {
    const std::size_t begin = i_ + (at(i_) == "the" ? 1 : 0);
    std::size_t of = begin;
    while (of < words_.size() && of < begin + 4 && !one_of(at(of), {"of", "for"}) &&
           !words_[of].punctuation) {
        ++of;
    }
    const std::size_t run = one_of(at(of), {"of", "for"}) ? name_run(of + 1) : 0;
    if (run == 0 || of == begin || !is_be(at(of + 1 + run))) return false;
    bool certain = false, place = false;
    attribute_predicate(lowered(written(begin, of)), certain, place);
    if (!certain && !place && (begin == i_ || at(of) == "for")) return false;
    subject_ = owner_ = written(of + 1, of + 1 + run);
    attribute_ = written(begin, of);
    i_ = of + 1 + run;
    return true;
}

/// "my best friend Clara", "Ann's sister's name": a person, or somebody's attribute.
bool ClauseReader::read_possessed(std::string owner) {
    if (owner.empty()) return false;
    const std::size_t begin = i_;
    const auto is_verb = [&](std::string_view word) {
        const auto form = verb_form(word);
        return form && !form->noun && word != "preferred";
    };
    while (i_ < words_.size() && i_ < begin + 5 && !is_auxiliary(at(i_)) && !is_verb(at(i_)) &&
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

}  // namespace memory::facts
