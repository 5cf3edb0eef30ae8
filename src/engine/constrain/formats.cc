// Where a regular expression cannot say all (the length of months), it says less: what it allows is
// always right. February ends at 28.
#include "engine/constrain/formats.h"

#include <algorithm>
#include <array>
#include <utility>

namespace engine::constrain {
namespace {

#define DG_DATE                                                  \
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|" \
    "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define DG_TIME                                                    \
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?" \
    "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define DG_LABEL "[A-Za-z0-9](?:[A-Za-z0-9]|-[A-Za-z0-9]){0,30}"
#define DG_OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define DG_IPV4 DG_OCTET "(?:\\." DG_OCTET "){3}"
#define DG_HEX "[0-9a-fA-F]{1,4}"
#define DG_URI_CHAR "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})"

constexpr std::pair<std::string_view, std::string_view> kPatterns[] = {
    {"date", "^" DG_DATE "$"},
    {"time", "^" DG_TIME "$"},
    {"date-time", "^" DG_DATE "[Tt]" DG_TIME "$"},
    {"duration",
     "^P(?:[0-9]+W|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?(?:T[0-9]+H)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D"
     "(?:T[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?)?|T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|"
     "[0-9]+M(?:[0-9]+S)?|[0-9]+S))$"},
    {"email", "^[A-Za-z0-9_%+-]{1,32}(?:\\.[A-Za-z0-9_%+-]{1,15}){0,1}@" DG_LABEL "(?:\\." DG_LABEL
              "){0,3}$"},
    {"hostname", "^" DG_LABEL "(?:\\." DG_LABEL "){0,3}$"},
    {"ipv4", "^" DG_IPV4 "$"},
    {"ipv6",
     "^(?:(?:" DG_HEX ":){7}" DG_HEX "|(?:" DG_HEX ":){1,7}:|(?:" DG_HEX ":){1,6}:" DG_HEX
     "|(?:" DG_HEX ":){1,5}(?::" DG_HEX "){1,2}|(?:" DG_HEX ":){1,4}(?::" DG_HEX "){1,3}|(?:" DG_HEX
     ":){1,3}(?::" DG_HEX "){1,4}|(?:" DG_HEX ":){1,2}(?::" DG_HEX "){1,5}|" DG_HEX ":(?::" DG_HEX
     "){1,6}|:(?:(?::" DG_HEX "){1,7}|:)|::[fF]{4}:" DG_IPV4 ")$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"uri", "^[A-Za-z][A-Za-z0-9+.-]*:" DG_URI_CHAR "+(?:#" DG_URI_CHAR "*)?$"},
    {"uri-reference",
     "^(?:[A-Za-z][A-Za-z0-9+.-]*:|/)?(?:[A-Za-z0-9._~!$&'()*+,;=@/?-]|"
     "%[0-9A-Fa-f]{2})*(?:#" DG_URI_CHAR "*)?$"},
    {"json-pointer", "^(?:/(?:[^~/]|~[01])*)*$"},
    {"relative-json-pointer", "^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)$"},
};

constexpr std::array<std::string_view, 6> kRefused = {"idn-email",     "idn-hostname", "iri",
                                                      "iri-reference", "uri-template", "regex"};

}  // namespace

std::optional<std::string_view> format_pattern(std::string_view name) {
    for (const auto& [known, pattern] : kPatterns) {
        if (known == name) return pattern;
    }
    return std::nullopt;
}

bool is_standard_format(std::string_view name) {
    return format_pattern(name).has_value() ||
           std::find(kRefused.begin(), kRefused.end(), name) != kRefused.end();
}

}  // namespace engine::constrain
