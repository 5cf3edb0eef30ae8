#include "memory/forget/request.h"

#include <algorithm>

#include "base/files/sha256.h"
#include "base/json/json.h"
#include "memory/facts/names.h"

namespace memory::forget {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;

constexpr std::size_t kIdsMax = 10'000, kSubjectBytesMax = 1024;

bool narrows(const Scope& scope) {
    return !scope.user.empty() || !scope.agent.empty() || !scope.session.empty() ||
           !scope.run.empty();
}

}  // namespace

std::string kind_of(const Target& target) {
    if (!target.document.empty()) return "document";
    return !target.ids.empty() ? "ids" : narrows(target.scope) ? "scope" : "subject";
}

Result<void> check(const Request& request) {
    const Target& target = request.target;
    const int given = int{!target.ids.empty()} + int{narrows(target.scope)} +
                      int{!target.subject.empty()} + int{!target.document.empty()};
    if (given != 1) {
        return fail_on("target", Code::invalid_argument,
                       "{} of 'ids', a scope ('user', 'agent', 'session', 'run'), 'subject' and "
                       "'document' are given, expected one: what is to be forgotten?",
                       given);
    }
    if (target.ids.size() > kIdsMax) {
        return fail_on("ids", Code::payload_too_large, "{} ids; the most is {}", target.ids.size(),
                       kIdsMax);
    }
    if (target.subject.size() > kSubjectBytesMax) {
        return fail_on("subject", Code::payload_too_large,
                       "the subject has {} bytes; the most is {}", target.subject.size(),
                       kSubjectBytesMax);
    }
    if (!target.subject.empty() && facts::normal_name(target.subject).empty()) {
        return fail_on("subject", Code::invalid_argument, "'subject' has no letter to go by");
    }
    return {};
}

std::string asked_hash(const Target& target, std::string_view salt) {
    std::vector<MemoryId> sorted = target.ids;
    std::ranges::sort(sorted);
    if (!target.document.empty()) {
        return base::sha256_hex(std::string(salt) + "\n" +
                                base::to_text(json::object{{"base", target.document.base},
                                                           {"document", target.document.id}}));
    }
    json::array ids;
    for (const MemoryId& id : sorted) ids.push_back(json::string(id));
    const Scope& scope = target.scope;
    return base::sha256_hex(
        std::string(salt) + "\n" +
        base::to_text(json::object{{"ids", std::move(ids)},
                                   {"user", scope.user},
                                   {"agent", scope.agent},
                                   {"session", scope.session},
                                   {"run", scope.run},
                                   {"subject", facts::normal_name(target.subject)}}));
}

}  // namespace memory::forget
