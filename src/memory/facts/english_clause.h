#pragma once
// One English clause: who, what the verb does (tense, negation, "no longer", "used to"), of what.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/facts/rules.h"
#include "memory/facts/vocabulary.h"
#include "memory/facts/when.h"
#include "memory/facts/words.h"

namespace memory::facts {

/// How a clause says its verb.
struct Chain {
    bool be = false, past = false, perfect = false, progressive = false;
    bool negated = false, used_to = false, ended = false, began = false, can = false;
    bool does = false;  ///< "do", "does", "did": the verb behind is bare
};

/// When a statement holds, or that it holds no more.
struct Outcome {
    bool retracts = false;
    UnixMs from = 0, to = 0;
};
/// What tense, negation and time make of a phrase; nullopt: nothing that is clear enough.
std::optional<Outcome> outcome_of(Effect effect, const Chain& chain, const When& when,
                                  UnixMs said_at);

/// Whom the words before a clause left in mind.
struct Mind {
    std::string subject;       ///< of the clause before
    std::string third_person;  ///< "he" and "she"
    When fronted;              ///< "On Monday" before the first of several verbs
};

class ClauseReader {
public:
    ClauseReader(std::string_view text, std::span<Word> words, const ExtractContext& context,
                 Mind& mind, std::vector<Found>& out)
        : text_(text), words_(words), context_(context), mind_(mind), out_(out) {}

    void read();

private:
    std::string_view at(std::size_t i) const {
        return i < words_.size() ? std::string_view(words_[i].lower) : std::string_view();
    }
    bool named(std::size_t i) const;
    bool is_parted(std::size_t i) const;
    bool follows(std::size_t i, std::string_view phrase, std::size_t& used) const;
    bool is_over() const;
    std::string written(std::size_t begin, std::size_t end) const;

    void read_rest(bool fronted);
    void skip_openers();
    bool read_subject();
    bool read_plain_subject();
    std::optional<std::string> read_person();
    void read_aside(const std::string& owner, const std::string& noun, std::string name);
    std::optional<std::string> read_contact_value(std::string_view& predicate);
    bool read_contact();
    bool read_found();
    bool is_told_of(std::size_t first, std::size_t person, std::size_t value) const;
    bool read_way();
    bool read_belonging();
    bool read_preference();
    bool read_cleft();
    bool read_introduced();
    bool read_home();
    bool read_change();
    bool read_mutual();
    bool read_parted(std::string_view lemma);
    bool read_best(const Frame& frame, const std::string& object);
    bool read_attribute_of();
    bool read_ending();
    void read_inverse(const Frame& frame);
    bool read_possessed(std::string owner);
    std::size_t name_run(std::size_t i) const;
    bool be_phrase_at(std::size_t i) const;
    bool read_chain();
    bool skip_auxiliary(std::string_view word);
    const Frame* frame_at(std::string_view lemma, std::size_t i, std::size_t& used) const;
    bool read_verb();
    bool read_be();
    void read_attribute();
    Effect read_copula();
    void read_frame(const Frame& frame);
    void read_move();
    void read_owned(const Frame& frame);
    void read_second_job(const Frame& frame);
    std::optional<std::string> read_object(ObjectKind kind, bool intent);
    void emit(std::string_view predicate, std::string object, Effect effect, float confidence);
    void emit_end(std::string_view predicate, std::string object, float confidence);

    std::string_view text_;
    std::span<Word> words_;
    const ExtractContext& context_;
    Mind& mind_;
    std::vector<Found>& out_;
    When when_;
    std::size_t i_ = 0;
    std::string subject_;
    std::string owner_, attribute_;  ///< "my <attribute>": whose, and which
    std::string partner_;            ///< "Ann and <partner>"
    std::string topic_;              ///< "of all <topic>", "when it comes to <topic>"
    Chain chain_;
};

}  // namespace memory::facts
