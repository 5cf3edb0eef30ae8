#pragma once
// What the rules know of language, as rows: verbs and their forms, what follows them and what that
// says, attributes, words that are no part of a value. General words only.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "memory/facts/fact.h"

namespace memory::facts {

/// What a phrase does to the fact it names.
enum class Effect : std::uint8_t {
    state,   ///< "live in": it is so
    begin,   ///< "move to": it is so from then
    end,     ///< "move out of": it is not so from then
    event,   ///< "attend": it happened
    intent,  ///< "plan to"
};

/// Which objects a phrase takes.
enum class ObjectKind : std::uint8_t {
    any,
    name,   ///< begins with a capital or a digit
    date,   ///< words of time, as written
    owned,  ///< a noun of kOwned decides the predicate: "have a dog"
};

enum class Tense : std::uint8_t { base, third, past, participle, progressive };

struct VerbForm {
    std::string_view lemma;
    Tense tense = Tense::base;
    bool noun = false;  ///< as often a noun: "show", "landing"
};
/// The form as a verb that rules know. Past and participle that look alike are past.
std::optional<VerbForm> verb_form(std::string_view word);

/// A verb, the words right behind it, and what the two say of an object.
struct Frame {
    std::string_view lemma, after, predicate;
    Effect effect = Effect::state;
    ObjectKind object = ObjectKind::any;
    float confidence = .9f;
    bool inverse = false;  ///< it says it of its object: "Acme hired Ann"
};
/// "~" in `after` stands for articles, possessives and what says no more, or nothing; "<job>" for
/// a word of that class.
std::span<const Frame> frames();
bool is_in_class(std::string_view word, std::string_view name);
/// What two people do or are with each other: "Ann and Bob got married".
std::span<const Frame> mutual_frames();
/// "days at Acme" in "Ann's days at Acme are over": which fact ends with them. Empty: none.
std::string_view ended_predicate(std::string_view noun);
/// Of "the favourite" of several: "fruits" is fruit.
std::string singular(std::string_view noun);

/// "have a dog": has_pet. Empty: not a noun that is kept.
std::string_view owned_predicate(std::string_view noun);

/// The predicate for "X's <noun> is ...": canonical, "" when the noun is nothing that lasts.
/// `certain`: the noun alone makes it an attribute, whatever the value looks like; a `place` is one
/// only with a name.
std::string attribute_predicate(std::string_view noun, bool& certain, bool& place);

Cardinality cardinality_of(std::string_view predicate);

bool is_adverb(std::string_view word);     ///< may stand anywhere and says nothing here
bool ends_object(std::string_view word);   ///< "because", "which", "with", ...
bool is_doubt(std::string_view word);      ///< "if", "maybe", "would": nothing is asserted
bool is_no_name(std::string_view word);    ///< a capital at a sentence's start means nothing
bool is_judgement(std::string_view word);  ///< "great", "very": no value of an attribute
bool is_occupation(std::string_view noun);
/// Takes "former", "ex-" off; false: there was none.
bool strip_past(std::string& noun);

}  // namespace memory::facts
