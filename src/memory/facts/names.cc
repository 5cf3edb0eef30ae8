#include "memory/facts/names.h"

#include <utf8proc.h>

#include <cstdlib>

namespace memory::facts {

std::string normal_name(std::string_view written) {
    utf8proc_uint8_t* mapped = nullptr;
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE |
                                                        UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(written.data()),
                                   static_cast<utf8proc_ssize_t>(written.size()), &mapped, options);
    const std::string folded = size < 0 ? std::string(written)  // not UTF-8: as it is
                                        : std::string(reinterpret_cast<const char*>(mapped),
                                                      static_cast<std::size_t>(size));
    std::free(mapped);
    std::string out;
    for (const char c : folded) {
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!space) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (!out.empty() && (out.back() == ' ' || out.back() == '.')) out.pop_back();
    if (out.starts_with("the ")) out.erase(0, 4);
    return out;
}

bool Names::use(const std::string& normal) {
    if (++uses_[normal] > 1) return false;
    const std::size_t space = normal.find(' ');
    if (space == std::string::npos) return full_names_.contains(normal);
    const std::string first = normal.substr(0, space);
    full_names_[first].insert(normal);
    return uses_.contains(first);
}

bool Names::disuse(const std::string& normal) {
    const auto found = uses_.find(normal);
    if (found == uses_.end() || --found->second > 0) return false;
    uses_.erase(found);
    const std::size_t space = normal.find(' ');
    if (space == std::string::npos) return false;
    const std::string first = normal.substr(0, space);
    const auto full = full_names_.find(first);
    full->second.erase(normal);
    if (full->second.empty()) full_names_.erase(full);
    return uses_.contains(first);
}

std::string Names::follow(std::string name) const {
    for (auto next = aliases_.find(name); next != aliases_.end(); next = aliases_.find(name)) {
        name = next->second;
    }
    return name;
}

bool Names::would_circle(const std::string& alias, const std::string& name) const {
    return follow(name) == alias;
}

std::string Names::resolve(const std::string& normal, bool subject) const {
    if (aliases_.contains(normal)) return follow(normal);
    const auto full = subject ? full_names_.find(normal) : full_names_.end();
    if (full != full_names_.end() && full->second.size() == 1) return follow(*full->second.begin());
    return normal;
}

}  // namespace memory::facts
