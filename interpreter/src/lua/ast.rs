//! The syntax tree of a chunk, with its names resolved.
//!
//! Nodes lie in flat vectors of one [`Ast`] and refer to each other by number: building the tree costs few allocations,
//! and dropping it does not recurse, however deep it is. A node's number is greater than those of its parts.
//!
//! Two things bound the recursion of whoever walks the tree: the parser's limit on nesting, and that chains which the
//! grammar builds by repetition (`a + b + c`, `a.b.c`) lean to the left, so that a walk can descend along them in a loop.
#![forbid(unsafe_code)]

use super::symbol::{Symbol, Symbols};

/// A range of one of the tree's vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Index of the first element.
    pub start: u32,
    /// Number of elements.
    pub len: u32,
}

impl Span {
    /// As a range of indices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// The number of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExprId(pub u32);

/// The number of a local variable of the chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalId(pub u32);

/// The number of a function; 0 is the main function. An enclosing function has a smaller number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FunctionId(pub u32);

/// The number of a label: one of the source's, or the end of a loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelId(pub u32);

/// The number of a jump to a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GotoId(pub u32);

/// Unary operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `~`
    BNot,
    /// `not`
    Not,
    /// `#`
    Len,
}

/// Binary operators but for `and` and `or`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `/`
    Div,
    /// `//`
    IDiv,
    /// `&`
    BAnd,
    /// `|`
    BOr,
    /// `~`
    BXor,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `..`
    Concat,
    /// `==`
    Eq,
    /// `~=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// An expression. Constant expressions are folded already.
#[derive(Clone, Copy, Debug)]
pub enum Expr {
    /// `nil`
    Nil,
    /// `true`
    True,
    /// `false`
    False,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(Symbol),
    /// `...`
    Vararg,
    /// A local variable of this function.
    Local(LocalId),
    /// An upvalue of this function.
    Upvalue(u8),
    /// A local variable that stands for a constant; only where a variable is needed, elsewhere it is that constant.
    ConstLocal(LocalId),
    /// `object[key]`, and globals as fields of `_ENV`.
    Index {
        /// The object.
        object: ExprId,
        /// The key.
        key: ExprId,
    },
    /// A function call.
    Call {
        /// What is called.
        callee: ExprId,
        /// The arguments, in [`Ast::lists`].
        args: Span,
    },
    /// A method call.
    Method {
        /// The object.
        object: ExprId,
        /// The method's name.
        name: Symbol,
        /// The arguments, in [`Ast::lists`].
        args: Span,
    },
    /// A function.
    Function(FunctionId),
    /// A table constructor with its [`Ast::items`].
    Table(Span),
    /// A unary operation.
    Unary(UnaryOp, ExprId),
    /// A binary operation.
    Binary(BinaryOp, ExprId, ExprId),
    /// `and`
    And(ExprId, ExprId),
    /// `or`
    Or(ExprId, ExprId),
    /// An expression in parentheses that make a difference: they cut several values to one, and make a variable a mere
    /// value.
    Paren(ExprId),
}

impl Expr {
    /// It may have any number of values.
    pub fn is_multiple(self) -> bool {
        matches!(self, Expr::Call { .. } | Expr::Method { .. } | Expr::Vararg)
    }

    /// It is a constant.
    pub fn is_constant(self) -> bool {
        matches!(self, Expr::Nil | Expr::True | Expr::False | Expr::Int(_) | Expr::Float(_) | Expr::Str(_))
    }
}

/// An element of a table constructor.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The key; none for elements of the list part.
    pub key: Option<ExprId>,
    /// The value.
    pub value: ExprId,
    /// The line where it ends.
    pub line: u32,
}

/// A block: some of [`Ast::stats`].
pub type Block = Span;

/// A condition and the block that it guards.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// The condition.
    pub condition: ExprId,
    /// The line of its `then`.
    pub line: u32,
    /// The block.
    pub block: Block,
}

/// What a statement does.
#[derive(Clone, Copy, Debug)]
pub enum StatKind {
    /// `local a, b = ...`
    Local {
        /// The first of the variables, which have consecutive numbers.
        first: LocalId,
        /// How many there are.
        count: u32,
        /// The values, in [`Ast::lists`].
        values: Span,
    },
    /// `local function`
    LocalFunction {
        /// The variable.
        local: LocalId,
        /// The function.
        function: ExprId,
    },
    /// An assignment.
    Assign {
        /// The targets, in [`Ast::lists`].
        targets: Span,
        /// The values, in [`Ast::lists`].
        values: Span,
    },
    /// `function a.b:c() ... end`
    Function {
        /// Where the function goes.
        target: ExprId,
        /// The function.
        function: ExprId,
    },
    /// A call.
    Call(ExprId),
    /// `do ... end`
    Do(Block),
    /// A `while` loop.
    While {
        /// The condition.
        condition: ExprId,
        /// The body.
        body: Block,
        /// Where `break` goes.
        exit: LabelId,
    },
    /// A `repeat` loop; its condition sees the body's variables.
    Repeat {
        /// The body.
        body: Block,
        /// The condition.
        condition: ExprId,
        /// Where `break` goes.
        exit: LabelId,
    },
    /// `if`, with the [`Ast::branches`] that have a condition.
    If {
        /// The branches.
        branches: Span,
        /// The block after `else`.
        otherwise: Option<Block>,
    },
    /// A numerical `for` loop.
    NumericFor {
        /// The variable.
        local: LocalId,
        /// Start, limit and, where given, step, in [`Ast::lists`].
        range: Span,
        /// The body.
        body: Block,
        /// Where `break` goes.
        exit: LabelId,
    },
    /// A generic `for` loop.
    GenericFor {
        /// The first of the variables, which have consecutive numbers.
        first: LocalId,
        /// How many there are.
        count: u32,
        /// The values, in [`Ast::lists`].
        values: Span,
        /// The body.
        body: Block,
        /// Where `break` goes.
        exit: LabelId,
        /// The line of the first value.
        line: u32,
    },
    /// `return`, with values in [`Ast::lists`].
    Return(Span),
    /// `goto` or `break`.
    Goto(GotoId),
    /// A label.
    Label(LabelId),
}

/// A statement.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// What it does.
    pub kind: StatKind,
    /// The line that its own instructions belong to where it has one of its own (loops, function definitions).
    pub line: u32,
    /// The line of its last token.
    pub end_line: u32,
}

/// How a local variable was declared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// Without attribute.
    Regular,
    /// `<const>`
    Const,
    /// `<close>`
    Close,
}

/// A local variable.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// Its name.
    pub name: Symbol,
    /// Its attribute.
    pub attribute: Attribute,
    /// The constant that it stands for; it needs no register then.
    pub constant: Option<Expr>,
    /// A function inside of its own uses it.
    pub captured: bool,
    /// It is assigned after its initialization.
    pub assigned: bool,
}

/// A label.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Number of local variables of its function that are visible there, those that stand for constants included.
    pub level: u32,
}

/// Where a function finds an upvalue when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capture {
    /// The enclosing function's variable.
    Local(LocalId),
    /// The enclosing function's upvalue.
    Upvalue(u8),
    /// Nowhere: the main function's `_ENV` is given to it.
    Environment,
    /// The session around the chunk: the variable of this number.
    Known(u32),
    /// The session around the chunk, which gets this new variable.
    Declared,
}

/// An upvalue of a function.
#[derive(Clone, Copy, Debug)]
pub struct Upvalue {
    /// The variable's name.
    pub name: Symbol,
    /// Where it comes from.
    pub capture: Capture,
    /// The variable that it is in the end.
    pub local: LocalId,
}

/// A function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// The first of its parameters, which have consecutive numbers.
    pub first_parameter: u32,
    /// Number of its fixed parameters.
    pub parameters: u32,
    /// It takes extra arguments.
    pub is_vararg: bool,
    /// Its upvalues.
    pub upvalues: Vec<Upvalue>,
    /// Its body.
    pub body: Block,
    /// The line of `function`, 0 for the main function.
    pub line: u32,
    /// The line of `end`; for the main function that of its last token.
    pub end_line: u32,
}

/// A chunk.
#[derive(Debug, Default)]
pub struct Ast {
    /// Names and strings.
    pub symbols: Symbols,
    /// Expressions.
    pub exprs: Vec<Expr>,
    /// The line of each expression: of an operation the operator's, of a call its argument list's.
    pub lines: Vec<u32>,
    /// Lists of expressions.
    pub lists: Vec<ExprId>,
    /// Elements of table constructors.
    pub items: Vec<Item>,
    /// Branches of `if`.
    pub branches: Vec<Branch>,
    /// Statements.
    pub stats: Vec<Stat>,
    /// Local variables. The first one is the environment that the main function is given.
    pub locals: Vec<Local>,
    /// Labels.
    pub labels: Vec<Label>,
    /// The target of each jump.
    pub gotos: Vec<LabelId>,
    /// Functions.
    pub functions: Vec<Function>,
}

impl Ast {
    /// An expression.
    pub fn expr(&self, id: ExprId) -> Expr {
        self.exprs[id.0 as usize]
    }

    /// An expression's line.
    pub fn line(&self, id: ExprId) -> u32 {
        self.lines[id.0 as usize]
    }

    /// A local variable.
    pub fn local(&self, id: LocalId) -> &Local {
        &self.locals[id.0 as usize]
    }

    /// A function.
    pub fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id.0 as usize]
    }
}
