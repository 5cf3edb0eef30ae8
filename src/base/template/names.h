#pragma once
// Which variables a tree reads. Internal to this folder.

#include <vector>

#include "base/template/syntax.h"
#include "base/template/template.h"

namespace base::tmpl {

std::vector<VariableUse> variables_of(const Expr& root);
std::vector<VariableUse> variables_of(const Body& body);

}  // namespace base::tmpl
