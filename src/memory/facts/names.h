#pragma once
// Who is meant: names by spelling, by alias and by a first name that is unique. Never by likeness.

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace memory::facts {

/// NFKC, case folded, single spaces, without a trailing dot or a leading "the".
std::string normal_name(std::string_view written);

/// The names of one tenant. What a name means follows from the set of names and aliases alone, not
/// from their order.
class Names {
public:
    /// Counts a use of a subject's name. True: what some first name means may have changed.
    bool use(const std::string& normal);
    bool disuse(const std::string& normal);
    /// Between normal names.
    void alias(std::string alias, std::string name) {
        aliases_[std::move(alias)] = std::move(name);
    }

    /// Whom a normal name means; `subject`: first names count.
    std::string resolve(const std::string& normal, bool subject) const;
    bool would_circle(const std::string& alias, const std::string& name) const;

private:
    std::string follow(std::string name) const;

    std::map<std::string, std::uint64_t> uses_;
    std::map<std::string, std::set<std::string>> full_names_;  ///< by first word
    std::map<std::string, std::string> aliases_;
};

}  // namespace memory::facts
