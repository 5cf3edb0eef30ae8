#include "base/store/postgres_location.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>

#include "base/core/url_password.h"

namespace base::store {
namespace {

constexpr std::size_t kNameMax = 63;  // of PostgreSQL
constexpr std::string_view kSchema = "schema=";

/// Lower case, so that it is the same with and without quotes.
bool good_name(std::string_view name) {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
    return !name.empty() && name.size() <= kNameMax && letter(name[0]) &&
           !name.starts_with("pg_") &&
           std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// Takes our own parameter out of the query, which libpq would refuse.
void take_schema(PostgresLocation& location) {
    std::string& url = location.url;
    for (std::size_t at = url.find('?'); at < url.size(); at = url.find('&', at + 1)) {
        if (!std::string_view(url).substr(at + 1).starts_with(kSchema)) continue;
        const std::size_t begin = at + 1 + kSchema.size();
        const std::size_t end = std::min(url.find('&', begin), url.size());
        location.schema = url.substr(begin, end - begin);
        // "?schema=a&b=c" keeps its "?".
        end < url.size() ? url.erase(at + 1, end - at) : url.erase(at);
        return;
    }
}

/// A password with signs that are not escaped would be taken for a host or a port, and shown.
bool unescaped(std::string_view url) {
    const std::size_t host = url.find("://") + 3;
    const std::size_t end = std::min(url.find_first_of("/?#", host), url.size());
    const auto in_host = std::ranges::count(url.substr(host, end - host), '@');
    return in_host > 1 || url.find('@', end) != std::string_view::npos;
}

}  // namespace

bool is_postgres(std::string_view location) {
    return location.starts_with("postgresql://") || location.starts_with("postgres://");
}

Result<PostgresLocation> parse_postgres(std::string_view location) {
    PostgresLocation parsed{std::string(location), "dougong", without_password(location)};
    take_schema(parsed);
    if (!good_name(parsed.schema)) {
        return fail_on(parsed.shown, Code::invalid_argument,
                       "schema \"{}\" in {} is no name; give small letters, digits and _, at most "
                       "{}, not beginning with a digit or pg_",
                       parsed.schema.substr(0, 80), parsed.shown, kNameMax);
    }
    // What libpq says about a URL it cannot read quotes it, password and all.
    char* words = nullptr;
    PQconninfoOption* const options = PQconninfoParse(parsed.url.c_str(), &words);
    PQconninfoFree(options);
    PQfreemem(words);
    if (options != nullptr && !unescaped(parsed.url)) return parsed;
    return fail_on(parsed.shown, Code::invalid_argument,
                   "{} is no URL of a PostgreSQL database; expected "
                   "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE, with %XX for "
                   "signs like / @ % in user and password, and parameters that libpq knows",
                   parsed.shown);
}

}  // namespace base::store
