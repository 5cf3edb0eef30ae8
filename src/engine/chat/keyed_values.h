#pragma once
// The values of calls as Gemma 4 writes them, {city:<|"|>Bern<|"|>,days:[1,2]}: JSON but for keys
// without quotes and texts between markers, in which nothing is escaped. Objects' keys are sorted.

#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/chat/cursor.h"
#include "engine/chat/grammar_text.h"

namespace engine::chat {

/// One value, as JSON text. Reads JSON's own texts too; a word that is no JSON is a text.
Scan read_keyed_value(Cursor& cursor, std::string_view quote, std::string& json, int depth = 0);
/// A key with or without quotes.
Scan read_keyed_key(Cursor& cursor, std::string_view quote, std::string& key);

std::string keyed_text(const base::json::value& value, std::string_view quote);
/// In the order in which keys are written: without regard to case, then as they are.
std::vector<std::string> sorted_keys(const base::json::object& object);

/// Schemas to grammars of such values. All it is given must outlive it.
class KeyedGrammar {
public:
    KeyedGrammar(constrain::GrammarBuilder& builder, TextNodes& text, const std::string& quote)
        : builder_(builder), text_(text), quote_(quote) {}

    /// relax: what cannot be enforced is any value of its type. Errors: unimplemented by path, from
    /// "$"; those of constrain's add_schema.
    base::Result<constrain::NodeId> value(const base::json::value& schema, bool relax);

private:
    base::Result<constrain::NodeId> typed(const base::json::object& schema, std::string_view type,
                                          bool relax);
    base::Result<constrain::NodeId> text(const base::json::object& schema, bool relax);
    base::Result<constrain::NodeId> list(const base::json::object& schema, bool relax);
    base::Result<constrain::NodeId> object(const base::json::object& schema, bool relax);
    constrain::NodeId exactly(const base::json::value& value);
    constrain::NodeId any_text();
    constrain::NodeId any_list();
    constrain::NodeId any_object();
    constrain::NodeId any();

    constrain::GrammarBuilder& builder_;
    TextNodes& text_;
    const std::string& quote_;
};

}  // namespace engine::chat
