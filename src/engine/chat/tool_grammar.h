#pragma once
// Tools to a grammar in the model's own way of calling: what it takes always parses
// (output_parser.h), names an offered tool, and has arguments that obey the tool's schema.

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/tool_set.h"
#include "engine/constrain/grammar.h"

namespace engine::chat {

struct ToolRule {
    enum class Kind : std::uint8_t { automatic, required, named };
    Kind kind = Kind::automatic;
    std::string name;      ///< with named
    bool parallel = true;  ///< more than one call
    ReasoningState reasoning = ReasoningState::possible;
    /// With automatic: when there is no call, the answer satisfies this schema.
    std::optional<base::json::value> answer_schema;
};

struct ToolGrammar {
    std::shared_ptr<const constrain::Grammar> grammar;
    /// Empty: the grammar holds from the first token. Else GenerateRequest::grammar_triggers.
    std::vector<std::string> triggers;
};

/// `required` and `named` hold from the first token on, after reasoning where the model reasons.
/// `automatic` leaves the model free until it begins a call; families that call without a marker
/// are held from the first token to "a call, or a text that does not begin like one".
///
/// Arguments come in the order of the schema, in one spelling of JSON ("a": 1, "b": 2), and only
/// those that `properties` lists, unless the schema says additionalProperties itself. In formats
/// that write arguments without quotes, texts cannot contain the marker that ends them.
///
/// A schema that cannot be enforced, or is none: with the tool's `strict` an error that names tool
/// and path; else each property that can be enforced is, and the others are any JSON.
/// Errors: invalid_argument (a named tool that is not offered), unimplemented, payload_too_large.
base::Result<ToolGrammar> tool_grammar(const ChatFormat& format, const ToolSet& tools,
                                       const ToolRule& rule);

/// What names the grammar of `rule` in a GrammarCache of one format.
std::string cache_key(const ToolSet& tools, const ToolRule& rule);

/// Grammars compiled lately, by what they were compiled from. Generations that get the same grammar
/// share its states and masks. Thread-safe.
class GrammarCache {
public:
    explicit GrammarCache(std::size_t nodes_max = 4'000'000) : nodes_max_(nodes_max) {}

    /// The grammar kept under `key`, else what `compile` makes. Errors are not kept.
    base::Result<ToolGrammar> get(const std::string& key,
                                  const std::function<base::Result<ToolGrammar>()>& compile);
    std::size_t size() const;

private:
    struct Entry {
        std::string key;
        ToolGrammar grammar;
    };
    void trim();

    mutable std::mutex mutex_;
    std::size_t nodes_max_, nodes_ = 0;                                   // guarded by mutex_
    std::list<Entry> entries_;                                            // guarded by mutex_
    std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;  // guarded by mutex_
};

}  // namespace engine::chat
