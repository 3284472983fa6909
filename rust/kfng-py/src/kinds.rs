//! What is written once for both number types.

/// Evaluates an expression for the core of whichever type; `Core` is the enum of that name where it is used.
macro_rules! either {
    ($core:expr, $inner:ident => $body:expr) => {
        match $core {
            Core::Wide($inner) => $body,
            Core::Narrow($inner) => $body,
        }
    };
}

/// Calls a method for the number type of the object's law.
macro_rules! by_kind {
    ($self:ident.$method:ident($($argument:expr),* $(,)?)) => {
        if $self.law.narrow {
            $self.$method::<f32>($($argument),*)
        } else {
            $self.$method::<f64>($($argument),*)
        }
    };
}
