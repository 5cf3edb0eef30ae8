#pragma once
// JSON with expressions in it. A text that is one `{{ ... }}` and nothing else gives the value with
// its type; any other text with braces in it is rendered; everything else stays as it is.

#include <functional>
#include <memory>
#include <string>

#include "base/json/json.h"
#include "base/template/template.h"

namespace flow {

class ValueTemplate {
public:
    ValueTemplate() = default;  ///< null
    /// Errors: invalid_argument; the subject is the JSON pointer of the text that is wrong, the
    /// message has line and column within it.
    static base::Result<ValueTemplate> parse(const base::json::value& value);

    bool constant() const { return nodes_ == nullptr; }
    /// Errors: as base::Expression::evaluate, with the pointer as subject.
    base::Result<base::json::value> render(const base::Variables& variables,
                                           const base::RenderOptions& options = {}) const;
    const base::json::value& source() const { return source_; }
    /// Calls `use` for every variable its texts read, with the pointer of the text.
    void variables(const std::function<void(const std::string& pointer,
                                            const base::VariableUse& use)>& use) const;

private:
    struct Nodes;
    base::json::value source_;
    std::shared_ptr<const Nodes> nodes_;  ///< the places with expressions
};

}  // namespace flow
