//! Random expressions of a wanted type. They read variables that are in scope, and their values do not depend on addresses,
//! orders or times.

use super::program::{Program, Type};

impl Program {
    /// An expression of a type, with so many levels at most.
    pub fn expression(&mut self, ty: Type, depth: usize) -> String {
        if depth == 0 || self.random.chance(15) {
            return self.leaf(ty);
        }
        match ty {
            Type::Int => self.int(depth - 1),
            Type::Float => self.float(depth - 1),
            Type::Str => self.string(depth - 1),
            Type::Bool => self.bool(depth - 1),
            Type::Table => self.table(depth - 1),
            Type::Any => self.any(depth - 1),
        }
    }

    fn leaf(&mut self, ty: Type) -> String {
        if self.random.chance(70)
            && let Some(name) = self.variable(ty)
        {
            return name;
        }
        let ints = [
            "0",
            "1",
            "2",
            "3",
            "7",
            "-1",
            "10",
            "100",
            "255",
            "256",
            "-7",
            "65536",
            "2147483648",
            "0x7fffffff",
            "-128",
            "math.maxinteger",
            "math.mininteger",
            "9007199254740993",
        ];
        let floats = [
            "0.0",
            "1.0",
            "-1.5",
            "0.5",
            "3.25",
            "2^53",
            "1e15",
            "-0.0",
            "1e308",
            "math.pi",
            "math.huge",
            "1e-300",
            "7.0",
        ];
        let strings =
            ["''", "'a'", "'abc'", "'10'", "'0x10'", "' 5 '", "'1e1'", "'hello world'", "'x,y,z'", "'\\0\\255'"];
        match ty {
            Type::Int => self.random.pick(&ints).to_string(),
            Type::Float => self.random.pick(&floats).to_string(),
            Type::Str => self.random.pick(&strings).to_string(),
            Type::Bool => self.random.pick(&["true", "false"]).to_string(),
            Type::Table => {
                let (x, y) = (self.leaf_constant(), self.leaf_constant());
                self.random
                    .pick(&["{x = 1, y = 2.5, s = 't', 1, 2, 3}", "C.new(4)"])
                    .to_string()
                    .replace("1,", &format!("{x},"))
                    .replace("4", &y)
            }
            Type::Any => {
                let ty = self.any_type();
                if self.random.chance(25) { "nil".into() } else { self.leaf(ty) }
            }
        }
    }

    fn leaf_constant(&mut self) -> String {
        self.random.pick(&["1", "5", "12", "-3"]).to_string()
    }

    fn any_type(&mut self) -> Type {
        [Type::Int, Type::Int, Type::Float, Type::Str, Type::Bool][self.random.below(5)]
    }

    fn two(&mut self, ty: Type, depth: usize) -> (String, String) {
        (self.expression(ty, depth), self.expression(ty, depth))
    }

    fn int(&mut self, depth: usize) -> String {
        let (a, b) = self.two(Type::Int, depth);
        match self.random.below(25) {
            18 => format!("(- {})", self.object(depth)),
            19 => format!("#{{{a}, nil, {b}}}"),
            20 => format!("({} + {a})", self.random.pick(&["'10'", "'0x10'", "' -3 '"])),
            21 => format!("P[{a} % 5]"),
            22 => format!("(({}).count or {a})", self.object(depth)),
            23 => format!("(rawlen(P) + (next(P) == nil and {a} or {b}))"),
            0..=3 => format!("({a} {} {b})", self.random.pick(&["+", "-", "*"])),
            4 => format!("({a} {} ({b} % 7 + 1))", self.random.pick(&["//", "%"])),
            5 => format!("({a} {} {})", self.random.pick(&["//", "%"]), self.random.pick(&["3", "-4", "16", "1000"])),
            6 => format!("({a} {} {b})", self.random.pick(&["&", "|", "~"])),
            7 => format!("({a} {} ({b} % 70 - 3))", self.random.pick(&["<<", ">>"])),
            8 => format!("({}{a})", self.random.pick(&["- ", "~ "])),
            9 => format!("#({})", self.expression(Type::Str, depth)),
            10 => format!("({}).x", self.expression(Type::Table, depth)),
            11 => format!("(({})[{a} % 3 + 1] or {b})", self.expression(Type::Table, depth)),
            12 => format!("({} and {a} or {b})", self.expression(Type::Bool, depth)),
            13 => format!("math.{}({a}, {b})", self.random.pick(&["max", "min"])),
            14 => format!("(math.tointeger({a} % 1000 + 0.0) or {b})"),
            15 => format!("select({} + 1, {a}, {b})", self.random.below(2)),
            16 => format!("(string.byte({}, 1) or {b})", self.expression(Type::Str, depth)),
            17 => format!("({}):get({a})", self.object(depth)),
            _ => format!("(math.floor({} % 100) // 1 | 0)", self.small_float(depth)),
        }
    }

    /// A float that is neither infinite nor a NaN for sure.
    fn small_float(&mut self, depth: usize) -> String {
        format!("({} * 0.37)", self.expression(Type::Int, depth))
    }

    fn float(&mut self, depth: usize) -> String {
        let (a, b) = self.two(Type::Float, depth);
        match self.random.below(11) {
            0..=3 => format!("({a} {} {b})", self.random.pick(&["+", "-", "*", "/"])),
            4 => format!("({a} {} {b})", self.random.pick(&["//", "%"])),
            5 => format!("({} / {})", self.expression(Type::Int, depth), self.expression(Type::Int, depth)),
            // Not `a - 0`: PUC 5.4 adds -0 there, and -0.0 becomes 0.0 (IEEE 754 says -0.0, as for `a - 0.0` and `a - zero`).
            6 => {
                let i = self.expression(Type::Int, depth);
                match self.random.below(4) {
                    0 => format!("({a} + {i})"),
                    1 => format!("({a} * {i})"),
                    2 => format!("({i} - {a})"),
                    _ => format!("({a} - {})", self.random.pick(&["1", "-7", "100", "1000"])),
                }
            }
            7 => format!("({} ^ {})", self.small_float(depth), self.random.pick(&["2", "0.5", "-1", "3"])),
            8 => format!("({}).y", self.expression(Type::Table, depth)),
            9 => format!("math.{}({a})", self.random.pick(&["abs", "sqrt"])),
            _ => format!("(- {a})"),
        }
    }

    fn string(&mut self, depth: usize) -> String {
        let a = self.expression(Type::Str, depth);
        match self.random.below(16) {
            14 => format!(
                "(({a}):gsub('{}', function(c) return {} end))",
                self.random.pick(&["%w", "(%a)%a", "^.", ".-e"]),
                {
                    let part = self.expression(Type::Str, depth.saturating_sub(1));
                    format!("c == 'c' and {part} or c ~= 'e' and nil")
                }
            ),
            15 => format!(
                "(({a}):gsub('%a', {{c = {}, e = false}}))",
                self.expression(Type::Str, depth.saturating_sub(1))
            ),
            12 => format!("({a} .. {} .. {a})", self.object(depth)),
            0 | 1 => format!("({a} .. {})", self.expression(Type::Str, depth)),
            2 => format!("({a} .. {})", self.expression(Type::Int, depth)),
            3 => format!("tostring({})", self.expression(Type::Int, depth)),
            4 => format!("({a}):sub({}, {})", self.expression(Type::Int, depth), self.random.pick(&["-1", "3", "5"])),
            5 => format!("({a}):{}()", self.random.pick(&["upper", "lower", "reverse"])),
            6 => format!("string.rep({a}, {} % 4)", self.expression(Type::Int, depth)),
            7 => format!("string.format('%d:%s', {}, {a})", self.expression(Type::Int, depth)),
            8 => {
                format!("string.format('{}', {})", self.random.pick(&["%.3f", "%5.1f", "%g"]), self.small_float(depth))
            }
            9 => format!("({}).s", self.expression(Type::Table, depth)),
            10 => format!("({} and {a} or 'else')", self.expression(Type::Bool, depth)),
            11 => format!(
                "(({a}):gsub('{}', '{}'))",
                self.random.pick(&["%a", "l+", "[xyz]", "^a"]),
                self.random.pick(&["", "<%0>", "-"])
            ),
            _ => format!("type({})", self.expression(Type::Any, depth)),
        }
    }

    fn bool(&mut self, depth: usize) -> String {
        let compare = ["==", "~=", "<", "<=", ">", ">="];
        match self.random.below(10) {
            8 => format!("({} << {})", self.object(depth), self.object(depth)),
            0..=2 => {
                let (a, b) = self.two(Type::Int, depth);
                format!("({a} {} {b})", self.random.pick(&compare))
            }
            3 => format!(
                "({} {} {})",
                self.expression(Type::Float, depth),
                self.random.pick(&compare),
                self.expression(Type::Int, depth)
            ),
            4 => {
                let (a, b) = self.two(Type::Str, depth);
                format!("({a} {} {b})", self.random.pick(&compare))
            }
            5 => format!("(not {})", self.expression(Type::Any, depth)),
            6 => {
                let (a, b) = self.two(Type::Bool, depth);
                format!("({a} {} {b})", self.random.pick(&["and", "or"]))
            }
            7 => format!("({} {} {})", self.object(depth), self.random.pick(&compare), self.object(depth)),
            _ => format!("({} == {})", self.expression(Type::Any, depth), self.expression(Type::Any, depth)),
        }
    }

    /// An object of the class `C`.
    pub(super) fn object(&mut self, depth: usize) -> String {
        let a = self.expression(Type::Int, depth.saturating_sub(1));
        match self.random.below(4) {
            0 => "K".into(),
            1 => format!("(K + {a})"),
            2 => format!("K:set({a})"),
            _ => format!("C.new({a})"),
        }
    }

    fn table(&mut self, depth: usize) -> String {
        let (a, b) = self.two(Type::Int, depth);
        match self.random.below(5) {
            0 => format!(
                "{{x = {a}, y = {}, s = {}, {b}, 2, 3}}",
                self.expression(Type::Float, depth),
                self.expression(Type::Str, depth)
            ),
            1 => format!("{{y = 0.5, s = 'r', x = {a}, {b}, {a}}}"),
            _ => self.object(depth),
        }
    }

    /// Whatever, and sometimes what fails.
    fn any(&mut self, depth: usize) -> String {
        let ty = self.any_type();
        let a = self.expression(ty, depth);
        match self.random.below(11) {
            8 => format!("F[{} % 8 / 4]", self.expression(Type::Int, depth)),
            0 => format!("({} and {a} or nil)", self.expression(Type::Bool, depth)),
            1 => format!("({} or {a})", self.expression(Type::Any, depth)),
            2 => format!("({}).nothing", self.expression(Type::Table, depth)),
            3 => format!("tonumber({})", self.expression(Type::Str, depth)),
            4 if self.risky() => format!(
                "({} {} {a})",
                self.expression(Type::Any, depth),
                self.random.pick(&["+", "..", "<", "//", "&"])
            ),
            5 if self.risky() => format!("({}).x", self.expression(Type::Any, depth)),
            6 if self.risky() => format!("#{}", self.leaf(Type::Any)),
            7 => format!("K({a})"),
            9 if self.risky() => format!("string.{}({a})", self.random.pick(&["len", "upper", "rep", "byte"])),
            _ => a,
        }
    }
}
