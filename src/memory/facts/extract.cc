#include "memory/facts/extract.h"

#include <algorithm>

#include "memory/facts/rules.h"
#include "memory/facts/vocabulary.h"

namespace memory::facts {

std::vector<Extracted> extract(std::string_view text, const ExtractContext& context) {
    std::vector<Found> found = english(text, context);
    for (Found& one : chinese(text, context)) found.push_back(std::move(one));
    std::ranges::stable_sort(found, {}, &Found::begin);
    std::vector<Extracted> out;
    for (Found& one : found) {
        Extracted made;
        made.retracts = one.retracts;
        Assertion& said = made.assertion;
        said.scope = context.scope;
        said.subject = std::move(one.subject);
        said.predicate = std::move(one.predicate);
        said.object = std::move(one.object);
        said.cardinality = cardinality_of(said.predicate);
        said.confidence = one.confidence;
        said.valid_from_unix_ms = one.from_unix_ms;
        said.valid_to_unix_ms = one.retracts ? 0 : one.to_unix_ms;
        said.ends = one.retracts;
        said.sources = {{.source = context.source, .begin = one.begin, .end = one.end}};
        if (said.valid_to_unix_ms != 0 && said.valid_to_unix_ms <= said.valid_from_unix_ms)
            continue;
        out.push_back(std::move(made));
    }
    return out;
}

}  // namespace memory::facts
