// "X's <noun> is ...", however it is turned round.
#include <algorithm>
#include <utility>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"

namespace memory::facts {

/// "is Ann's favourite colour", "has been my home": the subject is the value.
bool ClauseReader::read_belonging() {
    if (read_preference()) return true;
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
    std::string what = lowered(written(noun, i_));
    const bool past = strip_past(what);
    const std::string predicate = attribute_predicate(what, certain, place);
    const bool is_name = subject_[0] >= 'A' && subject_[0] <= 'Z';
    const bool value = certain ? predicate != "married_to" || is_name : place && is_name;
    if (owner.empty() || i_ == noun || !value || partner_ != "") {
        i_ = begin;
        return false;
    }
    std::string object = std::exchange(subject_, owner);
    if (past) {
        emit_end(predicate, std::move(object), .8f);
        return true;
    }
    emit(predicate, object, Effect::state, .85f);
    if (predicate == "married_to") {  // she is his wife: so he is her husband
        subject_ = std::exchange(object, owner);
        emit(predicate, std::move(object), Effect::state, .85f);
    }
    return true;
}

/// "is the colour (that) Ann likes best".
bool ClauseReader::read_preference() {
    std::size_t i = i_;
    if (at(i) != "the" || words_.size() < i + 4) return false;
    const std::string_view noun = at(++i);
    ++i;
    while (one_of(at(i), {"that", "which"})) ++i;
    const std::size_t run = name_run(i);
    const bool mine = at(i) == "i";
    if (run == 0 && !mine) return false;
    std::string owner = mine ? context_.speaker : written(i, i + run);
    i += mine ? 1 : run;
    while (is_adverb(at(i))) ++i;
    const auto form = verb_form(at(i));
    const bool best = one_of(at(i + 1), {"best", "most"});
    if (!form || !one_of(form->lemma, {"like", "love", "prefer", "enjoy"}) || !best ||
        form->tense == Tense::past) {
        return false;
    }
    bool certain = false, place = false;
    const std::string predicate =
        attribute_predicate("favourite " + std::string(noun), certain, place);
    i_ = i + 2;
    std::string object = std::exchange(subject_, std::move(owner));
    emit(predicate, std::move(object), Effect::state, .85f);
    return true;
}

/// "is where Ann works", "is the city where Ann lives".
bool ClauseReader::read_cleft() {
    std::size_t i = i_;
    if (at(i) == "the") i += 2;
    if (at(i) != "where") return false;
    const std::size_t run = name_run(++i);
    const bool mine = at(i) == "i";
    if (run == 0 && !mine) return false;
    std::string who = mine ? context_.speaker : written(i, i + run);
    i += mine ? 1 : run;
    while (is_adverb(at(i))) ++i;
    const auto form = verb_form(at(i));
    if (!form || one_of(at(i + 1), {"with", "for", "on", "out"})) return false;
    const std::string_view predicate = form->lemma == "live"    ? "lives_in"
                                       : form->lemma == "work"  ? "works_at"
                                       : form->lemma == "study" ? "studies_at"
                                                                : "";
    if (predicate.empty() || subject_.empty()) return false;
    if (form->tense == Tense::past) chain_.past = true;
    i_ = i + 1;
    std::string object = std::exchange(subject_, std::move(who));
    emit(predicate, std::move(object), Effect::state, .85f);
    return true;
}

/// "has a new favourite colour, green", "got a new number: 555-0100".
bool ClauseReader::read_introduced() {
    std::size_t i = i_;
    while (is_article(at(i)) || at(i) == "new") ++i;
    const std::size_t noun = i;
    while (i < words_.size() && i < noun + 4 && !words_[i].punctuation) ++i;
    if (i == i_ || i == noun || !one_of(at(i), {",", ":"})) return false;
    bool certain = false, place = false;
    const std::string predicate = attribute_predicate(lowered(written(noun, i)), certain, place);
    if (!certain || predicate == "married_to") return false;
    const std::size_t begin = std::exchange(i_, i + 1);
    auto object = read_object(ObjectKind::any, false);
    if (!object || (i_ < words_.size() && !words_[i_].punctuation && !words_[i_].time)) {
        i_ = begin;
        return false;
    }
    emit(predicate, std::move(*object), Effect::state, .8f);
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
                      one_of(at(i_), {"ended", "expired"}) || follows(i_, "came to an end", used) ||
                      follows(i_, "come to an end", used);
    if (!over) return false;
    subject_ = owner_;
    chain_ = {};
    chain_.past = true;
    emit(predicate, object, Effect::end, .85f);
    return true;
}

/// "is", "is no longer", "has been", "changed to", "is now": what it does to the attribute. Ends
/// before the value; i_ stays where there is none.
Effect ClauseReader::read_copula() {
    chain_ = {};
    while (is_adverb(at(i_))) ++i_;
    std::size_t k = i_, used = 0;
    if (at(k) == ":") {
        i_ = k + 1;
        return Effect::state;
    }
    if (follows(k, "used to be", used)) {
        chain_.used_to = true;
        i_ = k + used;
        return Effect::state;
    }
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
    const bool colon = at(i_) == ":";
    Effect effect = read_copula();
    if (i_ == begin) return;
    bool certain = false, place = false;
    std::string noun = lowered(attribute_);
    const bool past = strip_past(noun);
    const std::string predicate = attribute_predicate(noun, certain, place);
    if (colon && !certain) return;
    if (past) chain_.ended = true;
    if (effect == Effect::begin && !certain && !place) return;
    if (is_judgement(at(i_)) || (!certain && !named(i_))) return;
    const bool date = one_of(predicate, {"birthday"});
    subject_ = owner_;
    if (date) when_ = {};  // the value, not since when
    auto object = read_object(date ? ObjectKind::date : ObjectKind::any, false);
    if (object) emit(predicate, std::move(*object), effect, certain ? .9f : .8f);
}

}  // namespace memory::facts
