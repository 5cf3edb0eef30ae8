// What a clause's verb says: its company, its frame, its object.
#include <algorithm>
#include <array>
#include <utility>

#include "memory/facts/english_clause.h"
#include "memory/facts/english_words.h"

namespace memory::facts {
namespace {

/// "the Rome flat": Rome.
void strip_home(std::string& place) {
    const std::size_t space = place.rfind(' ');
    if (space != std::string::npos && is_in_class(place.substr(space + 1), "<home>")) {
        place.resize(space);
    }
}

}  // namespace

bool ClauseReader::read_chain() {
    for (; i_ < words_.size(); ++i_) {
        if (words_[i_].punctuation) return false;
        if (words_[i_].time || is_adverb(at(i_))) continue;
        if (!skip_auxiliary(at(i_))) break;
    }
    chain_.ended = chain_.ended || is_over();
    return i_ < words_.size();
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
    } else if (word == "be" && chain_.used_to) {
        chain_.be = true;
    } else if (one_of(word, {"stopped", "quit"}) && next == "being") {
        chain_.ended = chain_.be = true;
        ++i_;
    } else if (one_of(word, {"stopped", "quit"}) && next_progressive) {
        chain_.ended = true;
    } else if (one_of(word, {"started", "began"}) && next_progressive) {
        chain_.began = true;
    } else {
        return false;
    }
    return true;
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
        const bool over = chain_.negated || chain_.ended;
        chain_ = {};
        chain_.ended = over;
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
    if (read_parted(form->lemma)) return true;
    if (one_of(form->lemma, {"have", "get", "find"}) && read_introduced()) return true;
    const Frame* frame = frame_at(form->lemma, i_, used);
    if (frame == nullptr) return false;
    i_ += used;
    read_frame(*frame);
    return true;
}

/// "let Ann go", "laid Ann off", "gave Ann the sack": the rest of the verb is behind its object.
bool ClauseReader::read_parted(std::string_view lemma) {
    struct Parted {
        std::string_view lemma, rest;
        Effect effect;
    };
    static constexpr auto kParted = std::to_array<Parted>({
        {"let", "go", Effect::end},
        {"lay", "off", Effect::end},
        {"take", "on", Effect::begin},
        {"give", "the sack", Effect::end},
        {"give", "the boot", Effect::end},
        {"give", "notice", Effect::end},
        {"give", "~ <job>", Effect::begin},
        {"show", "the door", Effect::end},
        {"kick", "out", Effect::end},
    });
    const std::size_t person = i_ + std::max<std::size_t>(1, name_run(i_));
    for (const auto& [verb, rest, effect] : kParted) {
        std::size_t used = 0;
        if (verb != lemma || !follows(person, rest, used)) continue;
        const std::size_t end = person + used;
        if (end < words_.size() && !words_[end].time && !words_[end].punctuation) continue;
        words_[person].punctuation = true;
        read_inverse({"", "", "works_at", effect, ObjectKind::name, .8f, true});
        return true;
    }
    return false;
}

/// "am allergic to", "is a nurse", "am 34 years old".
bool ClauseReader::read_be() {
    std::size_t used = 0;
    if (read_cleft()) return true;
    if (const Frame* frame = frame_at("be", i_, used)) {
        i_ += used;
        if (frame->predicate == "name" && !attribute_.empty()) {  // "Ann's husband is called Bob"
            bool certain = false, place = false;
            const std::string of = attribute_predicate(lowered(attribute_), certain, place);
            if (of == "married_to") {
                subject_ = owner_;
                read_frame({"", "", of, frame->effect, ObjectKind::name});
                return true;
            }
        }
        read_frame(*frame);
        return true;
    }
    if (read_belonging()) return true;
    if (at(i_) == "with" && (chain_.negated || chain_.ended) && named(i_ + 1)) {
        // Whatever tied them: what was not so does not end.
        ++i_;
        if (auto other = read_object(ObjectKind::name, false)) {
            emit("works_at", *other, Effect::state, .7f);
            emit("married_to", std::move(*other), Effect::state, .7f);
        }
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

/// "best of all fruits", "more than any other fruit", "to any other": a favourite. True: it was
/// one, or too unclear for anything else.
bool ClauseReader::read_best(const Frame& frame, const std::string& object) {
    std::size_t used = 0, noun = 0;
    const bool likes = frame.predicate == "likes" && one_of(at(i_), {"best", "most", "more"});
    if (likes) {
        const bool all = follows(i_ + 1, "of all", used) || follows(i_ + 1, "among all", used) ||
                         follows(i_ + 1, "than any other", used) ||
                         follows(i_ + 1, "than all other", used);
        noun = all ? i_ + 1 + used : words_.size();
    } else if (frame.predicate == "prefers" &&
               (follows(i_, "to any other", used) || follows(i_, "over any other", used) ||
                follows(i_, "to all other", used) || follows(i_, "over all other", used))) {
        noun = i_ + used;
    } else {
        return false;
    }
    const bool colour = is_colour(lowered(object)) && at(i_) != "more";
    const std::string what = noun < words_.size() ? singular(at(noun))
                             : !topic_.empty()    ? topic_
                             : colour             ? "colour"
                                                  : "";
    if (what.empty() || (chain_.negated && !chain_.ended)) return true;
    bool certain = false, place = false;
    emit(attribute_predicate("favourite " + what, certain, place), object, frame.effect,
         frame.confidence);
    return true;
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
        if (read_best(frame, *object)) return;
        if (predicate == "lives_in") strip_home(*object);
        std::size_t used = 0;
        const bool for_good =
            frame.lemma == "leave" && (follows(i_, "for good", used) ||
                                       follows(i_, "behind", used) || follows(i_, "forever", used));
        if (for_good) emit("lives_in", *object, Effect::end, frame.confidence);
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

}  // namespace memory::facts
