#pragma once
// Who is meant by the name of a subject, and whether a text names it. Pure.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "memory/facts/fact.h"
#include "memory/facts/names.h"

namespace memory::forget {

class Subject {
public:
    /// `said`: the tenant's assertions; `names`: theirs, with aliases.
    Subject(std::string_view name, const std::vector<facts::Assertion>& said,
            const std::vector<std::pair<std::string, std::string>>& aliases);

    /// Means the subject: by spelling, alias or first name.
    bool is(std::string_view name) const;
    /// Has one of its names as a whole word; in scripts without spaces, anywhere.
    bool named_in(std::string_view text) const;
    /// Of the subject: as the subject or the object.
    bool in(const facts::Assertion& said) const { return is(said.subject) || is(said.object); }
    const std::set<std::string>& names() const { return names_; }

private:
    facts::Names resolver_;
    std::string meant_;
    std::set<std::string> names_;  ///< normal names
};

}  // namespace memory::forget
