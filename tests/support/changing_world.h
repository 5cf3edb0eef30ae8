#pragma once
// A small world whose facts change, and people who talk about it: for measuring how well changed
// facts are known, at present and as of any day. Everything follows from a seed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/rng.h"

namespace test {

/// How an update is told.
enum class Telling : std::uint8_t {
    template_form,  ///< plain sentences of the kind that rules are for
    paraphrase,     ///< how else people put it, known to the rules or not
    tuning,         ///< further ways, which rules were tuned with
    held_out,       ///< and those which they were not
};

/// One sentence pattern: {S} subject, {O} object, {D} the day. Without {D} it is told on the day.
struct Form {
    Telling telling;
    std::string_view predicate;
    bool ends;  ///< says that {O} is not so any more
    std::string_view text;
};
const std::vector<Form>& forms();
/// Those told as `tuning` and `held_out`; forms() has them too.
std::vector<Form> further_forms();

/// From `day` on the slot has `object`; "" for nothing.
struct Update {
    std::int64_t day = 0;  ///< since 1970
    std::string object;
    std::string before;           ///< what was so until then; what an end names
    bool wrong = false;           ///< told, but never so: taken back later
    std::int64_t told_at = 0;     ///< milliseconds since 1970, on that day or later
    std::int64_t arrived_at = 0;  ///< ascending in order of arrival, which is any order
};

/// One subject and predicate over time.
struct Slot {
    std::string subject, predicate;
    std::vector<Update> updates;  ///< by day

    /// What is so on `day`; "" for nothing. `arrived_by`: told by then only.
    std::string value_on(std::int64_t day, std::int64_t arrived_by = INT64_MAX) const;
};

struct World {
    std::vector<Slot> slots;
    std::int64_t now = 0;          ///< milliseconds; after everything
    std::int64_t arrived_all = 0;  ///< after the last arrival
};

/// 1-20 updates a slot, some of them ends, some told wrongly; days at least three apart.
World make_world(base::Rng& rng, std::size_t slots);

/// The update as a sentence, said at update.told_at. `form`: an index into forms() of its kind.
std::string tell(const Slot& slot, const Update& update, const Form& form, base::Rng& rng);

}  // namespace test
